import type { Command } from 'commander';
import { printDoctor } from './run.js';

const EXAMPLES = `
Examples:
  kdump-mem doctor           check capabilities, ss, /proc/kcore, perf, …
  kdump-mem doctor --json    the same as JSON

For each missing feature it lists the commands that need it, what works without it, and how to enable it.
It changes nothing. Reading dumps needs none of these features.

Exit status: 0 answered, 2 wrong usage.`;

/** `kdump-mem doctor`: what is missing here, and what works all the same. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show which features work on this machine, and how to enable the others')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: { readonly json?: true }) => printDoctor('kdump-mem', options));
}
