import { type Command, InvalidArgumentError } from 'commander';
import type { Warning } from '../../walk/warnings.js';
import { EXIT } from '../failure.js';
import { printAnswer, printWarnings } from '../output.js';
import { addSourceOptions, openSource, type SourceOptions } from '../source.js';

interface SkbOptions extends SourceOptions {
  readonly pid: number;
  readonly fd?: number;
  readonly json?: true;
  readonly verbose?: true;
  readonly strict?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem skb --pid 4711 --vmcore /var/crash/vmcore --vmlinux vmlinux
      every socket of process 4711, what pins most first
  kdump-mem skb --pid 4711 --fd 12 --vmcore /var/crash/vmcore --vmlinux vmlinux --verbose
      one socket, queue by queue, with every skb

Exit status: 0 answered, 2 wrong usage, 3 the dump or kernel could not be opened or read,
4 the pid or fd is not there or is no socket, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem skb`: what waits in a socket's queues, and the pages that it pins. */
export function registerSkb(program: Command): void {
  addSourceOptions(program.command('skb'))
    .description('what waits in a socket’s queues, and the memory that it pins')
    .requiredOption('--pid <pid>', 'the process', parseNumber)
    .option('--fd <fd>', 'one socket of it; without, every socket it has', parseNumber)
    .option('--json', 'print the answer as JSON')
    .option('--verbose', 'list every skb (needs --fd)')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: SkbOptions) => {
      const kernel = await openSource(options);
      try {
        const { accountFd, accountProcess } = await import('../../account/skb.js');
        if (options.fd === undefined) {
          const { skbProcessJson, skbProcessText } = await reports();
          finish(accountProcess(kernel, options.pid), options, skbProcessJson, skbProcessText);
        } else {
          const { skbJson, skbText } = await reports();
          const answer = accountFd(kernel, options.pid, options.fd, options.verbose);
          finish(answer, options, skbJson, skbText);
        }
      } finally {
        kernel.close();
      }
    });
}

async function reports() {
  const json = await import('../../report/skb-json.js');
  const text = await import('../../report/skb-text.js');
  return { ...json, ...text };
}

function finish<Answer extends Parameters<typeof isWhole>[0]>(
  answer: Answer,
  options: SkbOptions,
  toJson: (answer: Answer) => unknown,
  toText: (answer: Answer) => string,
): void {
  printAnswer(options.json ? JSON.stringify(toJson(answer), null, 2) : toText(answer));
  // With --json the warnings are part of the answer.
  if (!options.json) printWarnings(answer.warnings);
  if (options.strict && !isWhole(answer)) process.exitCode = EXIT.incomplete;
}

function isWhole(answer: {
  readonly total: { readonly complete: boolean };
  readonly warnings: readonly Warning[];
}): boolean {
  return answer.total.complete;
}

/** pids and fds: decimal, as the shell shows them. */
function parseNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
