import { type Command, InvalidArgumentError } from 'commander';
import { parsePlace } from '../../walk/values/place.js';
import { type AnswerOptions, answer } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addSourceOptions } from '../kit/kernel-source.js';

interface SkbOptions extends AnswerOptions {
  readonly pid?: number;
  readonly fd?: number;
  readonly sock?: bigint;
  readonly verbose?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem skb --pid 4711 --vmcore /var/crash/202611200412/vmcore
      every socket of process 4711, what pins most first
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --verbose
      one socket, queue by queue, with every skb
  kdump-mem skb --sock 0xffff8b888267ec00 --vmcore vmcore
      a socket that no process has, by its address in the list of sockets
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --vmlinux vmlinux --engine verify
      asks crash as well, and lists every figure on which it differs

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could
not be opened or read, 4 the pid or fd is not there or is no socket, 5 (with --strict) the answer
is incomplete.`;

/** `kdump-mem skb`: what waits in a socket's queues, and the pages that it pins. */
export function registerSkb(program: Command): void {
  addSourceOptions(program.command('skb'))
    .usage('[options] [dump...]')
    .description('what waits in a socket’s queues, and the memory that it pins')
    .option('--pid <pid>', 'the process', parseNumber)
    .option('--fd <fd>', 'one socket of it; without, every socket it has', parseNumber)
    .option('--sock <address>', 'the socket of this struct sock, whoever has it', parseAddress)
    .option('--json', 'print the answer as JSON')
    .option('--verbose', 'list every skb (with --fd or --sock)')
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: SkbOptions) => {
      const { pid, fd, sock, verbose } = options;
      if (
        (pid === undefined) === (sock === undefined) ||
        (fd !== undefined && sock !== undefined)
      ) {
        throw new UsageError('say which socket: --pid N, --pid N --fd N or --sock ADDRESS');
      }
      if (verbose && fd === undefined && sock === undefined) {
        throw new UsageError('--verbose lists the skbs of one socket: say which with --fd N');
      }
      const [ask, json, text] = await Promise.all([
        import('../../account/skb.js'),
        import('../../answers/skb/json.js'),
        import('../../answers/skb/text.js'),
      ]);
      if (pid !== undefined && fd === undefined) {
        await answer(options, {
          ask: (kernel) => ask.accountProcess(kernel, pid),
          toJson: json.skbProcessJson,
          toText: text.skbProcessText,
        });
      } else {
        await answer(options, {
          ask: (kernel) =>
            pid !== undefined && fd !== undefined
              ? ask.accountFd(kernel, pid, fd, verbose)
              : ask.accountSock(kernel, sock ?? 0n, verbose),
          toJson: json.skbJson,
          toText: text.skbText,
        });
      }
    });
}

/** Addresses: hex with 0x, as `sockets` prints them, or all 16 digits, as crash does. */
function parseAddress(text: string): bigint {
  const { number, surelyNumber } = parsePlace(text) ?? {};
  if (number !== undefined && surelyNumber && !text.includes('+')) return number;
  throw new InvalidArgumentError(
    'It must be hex with 0x, as sockets prints it: 0xffff8b888267ec00.',
  );
}
