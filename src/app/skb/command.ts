import { type Command, InvalidArgumentError } from 'commander';
import { parsePlace } from '../../walk/values/place.js';
import { answer } from '../kit/answer.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addSourceOptions, sourceWords } from '../kit/kernel-source.js';

const EXAMPLES = `
Examples:
  kdump-mem skb --pid 4711 --vmcore /var/crash/202611200412/vmcore
      all sockets of process 4711, largest first
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --verbose
      one socket: its queues and every skb
  kdump-mem skb --sock 0xffff8b888267ec00 --vmcore vmcore
      a socket without a process, by its address from kdump-mem sockets
  kdump-mem skb --pid 4711 --fd 12 --vmcore vmcore --vmlinux vmlinux --engine verify
      compares every figure with that of crash

Exit status: 0 success, 1 engines differ (verify), 2 wrong usage, 3 dump or kernel unreadable, 4 pid or
fd not found or not a socket, 5 (with --strict) incomplete answer.`;

/** Registers `kdump-mem skb`, which shows the queues of a socket and the pages that they pin. */
export function registerSkb(program: Command): void {
  addSourceOptions(program.command('skb'))
    .usage('[options] [dump...]')
    .description('show the queues of a socket and the memory that they pin')
    .option('--pid <pid>', 'process', parseNumber)
    .option('--fd <fd>', 'one socket of the process (default: all)', parseNumber)
    .option('--sock <address>', 'socket with its struct sock at this address', parseAddress)
    .option('--json', 'print the answer as JSON')
    .option('-v, --verbose', 'list every skb (with --fd or --sock)')
    .option('--strict', 'exit with status 5 if the answer is incomplete')
    .addHelpText('after', EXAMPLES)
    .action(async (options) => {
      const { pid, fd, sock, verbose } = options;
      if ((pid === undefined) === (sock === undefined) || (fd !== undefined && sock !== undefined)) {
        throw new UsageError('no socket selected: use --pid N, --pid N --fd N or --sock ADDRESS');
      }
      if (verbose && fd === undefined && sock === undefined) {
        throw new UsageError('--verbose lists the skbs of one socket: select it with --fd N');
      }
      const [ask, words] = await Promise.all([import('../../account/skb.js'), import('../../answers/skb/document.js')]);
      const source = sourceWords(options);
      if (pid !== undefined && fd === undefined) {
        await answer(options, {
          ask: (kernel) => ask.accountProcess(kernel, pid),
          toBlocks: (result) => words.processBlocks(result, source),
        });
      } else {
        await answer(options, {
          ask: (kernel) =>
            pid !== undefined && fd !== undefined
              ? ask.accountFd(kernel, pid, fd, verbose)
              : ask.accountSock(kernel, sock ?? 0n, verbose),
          toBlocks: (result) => words.skbBlocks(result, source),
        });
      }
    });
}

/** Parses an address: hex with 0x, as `sockets` prints it, or all 16 digits, as crash does. */
function parseAddress(text: string): bigint {
  const { number, surelyNumber } = parsePlace(text) ?? {};
  if (number !== undefined && surelyNumber && !text.includes('+')) return number;
  throw new InvalidArgumentError('It must be hex with 0x, as kdump-mem sockets prints it: 0xffff8b888267ec00.');
}
