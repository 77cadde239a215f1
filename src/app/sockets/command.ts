import { type Command, InvalidArgumentError, Option } from 'commander';
import { STATE_NAMES } from '../../walk/sockets/sock-words.js';
import { parseNumber, parseSize } from '../kit/arguments.js';
import { addSourceOptions } from '../kit/kernel-source.js';
import { answerSockets, type SocketsOptions, streamSockets } from './answer.js';

const EXAMPLES = `
Examples:
  kdump-mem sockets --vmcore vmcore                 sockets that pin the most memory, and their holders
  kdump-mem sockets --vmcore vmcore --by process    memory that each process pins, and that a kill frees
  kdump-mem sockets --vmcore vmcore --ndjson        one line of JSON per socket as it is found; the last
                                                    line (kdump-mem.sockets-end/1) has the totals

BLOCKS  page allocations by order: "330 order-0, 2 order-3" are 330 single pages and 2 of 8 pages each
RATIO   PINNED divided by PAYLOAD
QUEUE   the queue that pins the most memory, and the number of other queues in use
≥, "at least": part of it could not be read. An address under OWNER is for skb --sock. A narrow
terminal leaves out columns and shortens cells (…); a pipe cuts nothing.

A socket with several holders counts in the group of each. --by adds up only sockets that --pid,
--netns, --state and --port select; FREED IF KILLED always covers all sockets of the process.

Exit status: 0 success, 1 engines differ (verify), 2 wrong usage, 3 dump or kernel unreadable, 4 pid or
network namespace not found, 5 (with --strict) incomplete answer.`;

/** `kdump-mem sockets`: sockets of the machine and the memory that they pin. */
export function registerSockets(program: Command): void {
  addSourceOptions(program.command('sockets'))
    .usage('[options] [dump...]')
    .description('list sockets by the memory that they pin, with the processes that hold them')
    .addOption(
      new Option('--by <what>', 'group sockets and show sums').choices([
        ...['process', 'cgroup', 'netns', 'port', 'family', 'state'],
      ]),
    )
    .option(
      '--min-bytes <size>',
      'only sockets that pin at least this much, such as 100k or 1M',
      parseSize,
      1,
    )
    .option('--pid <pid>', 'only sockets of this process', parseNumber)
    .option('--netns <inode>', 'only sockets of this network namespace', parseNumber)
    .option('--state <state>', 'only sockets in this state, such as LISTEN', parseState)
    .option('--port <port>', 'only sockets with this local or peer port', parsePort)
    .option('--limit <n>', 'maximum number of rows (default 20; JSON: all)', parseNumber)
    .addOption(
      new Option('--all', 'list all sockets, including those that pin no memory').conflicts([
        ...['limit', 'minBytes'],
      ]),
    )
    .option(
      '-v, --verbose',
      'show address, queues, cgroup and all holders of each socket, and small rows outside queues',
    )
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option(
        '--ndjson',
        'print one line of JSON per socket as it is found, unsorted',
      ).conflicts(['json', 'by']),
    )
    .option('--strict', 'exit with status 5 if the answer is incomplete')
    .addHelpText('after', EXAMPLES)
    .action((options: SocketsOptions) =>
      options.ndjson ? streamSockets(options) : answerSockets(options),
    );
}

/** States that `ss` names differently. */
const SS_STATES: Readonly<Record<string, string>> = { ESTAB: 'ESTABLISHED', UNCONN: 'CLOSE' };

/** A state's name as `ss` spells it (FIN-WAIT-1) or the kernel (FIN_WAIT1), in large or small letters. */
function parseState(text: string): string {
  const bare = (state: string) => state.toUpperCase().replaceAll(/[-_]/g, '');
  const name = SS_STATES[text.toUpperCase()] ?? text;
  const known = STATE_NAMES.find((state) => bare(state) === bare(name));
  if (known !== undefined) return known;
  if (/^STATE_\d+$/.test(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${STATE_NAMES.join(', ')}.`);
}

function parsePort(text: string): number {
  const port = parseNumber(text);
  if (port < 1 || port > 65535) throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
