import type { Command } from 'commander';
import { tellDoctor } from './run.js';

const EXAMPLES = `
Examples:
  kdump-mem doctor           what of this machine can be used: rights, ss, /proc/kcore, perf, …
  kdump-mem doctor --json    the same for programs

Of what cannot be used it says who needs it, what works all the same, and what to do. It changes nothing. Dumps
need none of this.

Exit status: 0 answered, 2 wrong usage.`;

/** `kdump-mem doctor`: what is missing here, and what works all the same. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('what is missing on this machine, and what works all the same')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options: { readonly json?: true }) => tellDoctor('kdump-mem', options));
}
