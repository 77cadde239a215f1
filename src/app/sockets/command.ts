import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CensusEntry } from '../../account/owners.js';
import { portsOf } from '../../account/socket.js';
import type { CensusAnswer } from '../../account/sockets.js';
import { formatJson } from '../../base/util.js';
import { STATE_NAMES } from '../../walk/sockets/sock-words.js';
import { answer, streamAnswer } from '../kit/answer.js';
import { type OptionsOf, parseNumber, parseSize } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addSourceOptions, liveByDefault, sourceWords } from '../kit/kernel-source.js';
import { Progress } from '../kit/terminal.js';

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

function declareSockets(program: Command) {
  return liveByDefault(addSourceOptions(program.command('sockets')))
    .usage('[options] [dump...]')
    .description('list sockets by the memory that they pin, with the processes that hold them')
    .addOption(
      new Option('--by <what>', 'group sockets and show sums').choices([
        'process',
        'cgroup',
        'netns',
        'port',
        'family',
        'state',
      ]),
    )
    .option('--min-bytes <size>', 'only sockets that pin at least this much, such as 100k or 1M', parseSize, 1)
    .option('--pid <pid>', 'only sockets of this process', parseNumber)
    .option('--netns <inode>', 'only sockets of this network namespace', parseNumber)
    .option('--state <state>', 'only sockets in this state, such as LISTEN', parseState)
    .option('--port <port>', 'only sockets with this local or peer port', parsePort)
    .option('--limit <n>', 'maximum number of rows (default 20; JSON: all)', parseNumber)
    .addOption(
      new Option('--all', 'list all sockets, including those that pin no memory').conflicts(['limit', 'minBytes']),
    )
    .option(
      '-v, --verbose',
      'show address, queues, cgroup and all holders of each socket, and small rows outside queues',
    )
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option('--ndjson', 'print one line of JSON per socket as it is found, unsorted').conflicts(['json', 'by']),
    )
    .option('--strict', 'exit with status 5 if the answer is incomplete');
}

type SocketsOptions = OptionsOf<typeof declareSockets>;

/** Registers `kdump-mem sockets`, which lists the sockets of the machine and the memory that they pin. */
export function registerSockets(program: Command): void {
  declareSockets(program)
    .addHelpText('after', EXAMPLES)
    .action((options) => (options.ndjson ? streamSockets(options) : answerSockets(options)));
}

/** States that `ss` names differently. */
const SS_STATES: Readonly<Record<string, string>> = { ESTAB: 'ESTABLISHED', UNCONN: 'CLOSE' };

/**
 * Parses a state name in the spelling of `ss` (FIN-WAIT-1) or of the kernel (FIN_WAIT1), in upper or lower
 * case.
 */
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

/** Prints all sockets after the last one was found, largest first. */
async function answerSockets(options: SocketsOptions): Promise<void> {
  const [{ checkTargets: checkThere }, { accountAll }, { kernelOrigin }, { socketsJson }, { socketsBlocks }] =
    await Promise.all([
      import('../../walk/network/net-devices.js'),
      import('../../account/sockets.js'),
      import('../../walk/machine/origin.js'),
      import('../../answers/sockets/json.js'),
      import('../../answers/sockets/document.js'),
    ]);
  const { by, verbose, pid, netns, state, port } = options;
  const limit = limitOf(options);
  const listed = (answer: CensusAnswer) => answer.sockets.filter((socket) => isListed(socket, options));
  const select = [pid, netns, state, port].some((value) => value !== undefined)
    ? (entry: CensusEntry) => matches(entry, options)
    : undefined;
  await answer(options, {
    doing: SEARCH,
    ask: (kernel, progress) => {
      checkThere(kernel, options);
      return { ...accountAll(kernel, { by, select, progress }), origin: kernelOrigin(kernel) };
    },
    toJson: (result) => socketsJson(result, listed(result), limit),
    toBlocks: (result) => socketsBlocks(result, listed(result), { by, limit, verbose, source: sourceWords(options) }),
  });
}

const SEARCH = 'scanning for sockets';

/** Prints each socket as a line of JSON when it is found. */
async function streamSockets(options: SocketsOptions): Promise<void> {
  const [{ checkTargets: checkThere }, { accountEach }, { kernelOrigin }, words] = await Promise.all([
    import('../../walk/network/net-devices.js'),
    import('../../account/sockets.js'),
    import('../../walk/machine/origin.js'),
    import('../../answers/sockets/json.js'),
  ]);
  if (options.engine === 'verify') {
    throw new UsageError('--ndjson: not supported with --engine verify; use --json');
  }
  const limit = limitOf(options);
  const search = new Progress();
  await streamAnswer(options, function* (kernel) {
    checkThere(kernel, options);
    const entries = accountEach(kernel, search.of(SEARCH));
    let [listed, omitted] = [0, 0];
    try {
      for (;;) {
        const { done, value } = entries.next();
        search.clear();
        if (done) {
          yield `${formatJson(words.socketsEnd(value, kernelOrigin(kernel), listed, omitted))}\n`;
          return value.complete;
        }
        if (!isListed(value, options)) continue;
        if (listed >= limit) {
          omitted++;
          continue;
        }
        listed++;
        yield `${formatJson(words.socketLine(value))}\n`;
      }
    } finally {
      search.clear();
    }
  });
}

function limitOf({ limit, all, json, ndjson }: SocketsOptions): number {
  return limit ?? (all || json || ndjson ? Number.POSITIVE_INFINITY : 20);
}

function isListed(entry: CensusEntry, options: SocketsOptions): boolean {
  return isBigEnough(entry, options) && matches(entry, options);
}

function isBigEnough({ total }: CensusEntry, { all, minBytes }: SocketsOptions): boolean {
  return all === true || !total.complete || total.pinnedBytes >= minBytes;
}

function matches(entry: CensusEntry, options: SocketsOptions): boolean {
  const { socket, holders, mappedBy, connectionHolders } = entry;
  const { pid, netns, state, port } = options;
  const owners = [...holders, ...mappedBy, ...connectionHolders];
  if (pid !== undefined && !owners.some((owner) => owner.pid === pid)) return false;
  if (netns !== undefined && socket.netns !== netns) return false;
  if (state !== undefined && socket.state !== state) return false;
  return port === undefined || portsOf(socket).includes(port);
}
