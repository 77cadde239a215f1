import type { Command } from 'commander';
import { formatJson } from '../../base/util.js';
import type { CheckCode } from '../../doctor/checks.js';
import { printAnswer, printText } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';
import { VERSION } from '../kit/version.js';

const EXAMPLES = `
Examples:
  kdump-mem doctor           check capabilities, ss, /proc/kcore, perf, …
  kdump-mem doctor --json    the same as JSON

For each missing feature it lists the commands that need it, what works without it, and how to enable it.
It changes nothing. Reading dumps needs none of these features.

Exit status: 0 answered, 2 wrong usage.`;

/**
 * Registers `kdump-mem doctor`, which reports missing features of this machine and what works without them.
 */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show which features work on this machine, and how to enable the others')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', EXAMPLES)
    .action((options) => printDoctor('kdump-mem', options));
}

/** Reports which features of this machine can be used. @param codes limits the report to these */
export async function printDoctor(
  program: 'kdump-mem' | 'skcheck',
  { json }: { readonly json?: boolean },
  codes?: readonly CheckCode[],
): Promise<void> {
  const [{ examine }, { here }] = await Promise.all([
    import('../../doctor/checks.js'),
    import('../../doctor/checks.js'),
  ]);
  const checks = examine(here, codes);
  if (json) {
    const { doctorJson } = await import('../../answers/doctor/render.js');
    printAnswer(formatJson(doctorJson(checks, VERSION), 2));
    return;
  }
  const { doctorText } = await import('../../answers/doctor/render.js');
  printText(doctorText(checks, `${program} ${VERSION}`, terminalWidth()));
}
