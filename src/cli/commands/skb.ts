import { type Command, InvalidArgumentError } from 'commander';
import { type AnswerOptions, answer } from '../answer.js';
import { addSourceOptions } from '../source.js';

interface SkbOptions extends AnswerOptions {
  readonly pid: number;
  readonly fd?: number;
  readonly verbose?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem skb --pid 4711 --vmcore /var/crash/202611200412/vmcore
      every socket of process 4711, what pins most first
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --verbose
      one socket, queue by queue, with every skb
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --vmlinux vmlinux --engine verify
      asks crash as well, and lists every figure on which it differs

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could
not be opened or read, 4 the pid or fd is not there or is no socket, 5 (with --strict) the answer
is incomplete.`;

/** `kdump-mem skb`: what waits in a socket's queues, and the pages that it pins. */
export function registerSkb(program: Command): void {
  addSourceOptions(program.command('skb'))
    .description('what waits in a socket’s queues, and the memory that it pins')
    .requiredOption('--pid <pid>', 'the process', parseNumber)
    .option('--fd <fd>', 'one socket of it; without, every socket it has', parseNumber)
    .option('--json', 'print the answer as JSON')
    .option('--verbose', 'list every skb (with --fd)')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: SkbOptions) => {
      const { pid, fd, verbose } = options;
      const [ask, json, text] = await Promise.all([
        import('../../account/skb.js'),
        import('../../report/skb-json.js'),
        import('../../report/skb-text.js'),
      ]);
      if (fd === undefined) {
        await answer(options, {
          ask: (kernel) => ask.accountProcess(kernel, pid),
          toJson: json.skbProcessJson,
          toText: text.skbProcessText,
        });
      } else {
        await answer(options, {
          ask: (kernel) => ask.accountFd(kernel, pid, fd, verbose),
          toJson: json.skbJson,
          toText: text.skbText,
        });
      }
    });
}

/** pids and fds: decimal, as the shell shows them. */
function parseNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
