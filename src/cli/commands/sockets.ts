import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CensusEntry, Grouping } from '../../account/census-entry.js';
import { portsOf } from '../../account/ports.js';
import type { CensusAnswer } from '../../account/sockets.js';
import { formatJson } from '../../report/json.js';
import { type AnswerOptions, answer, streamAnswer } from '../answer.js';
import { Progress } from '../progress.js';
import { addSourceOptions } from '../source.js';

interface SocketsOptions extends AnswerOptions {
  readonly by?: Grouping;
  readonly minBytes: number;
  readonly pid?: number;
  readonly netns?: number;
  readonly state?: string;
  readonly port?: number;
  readonly limit?: number;
  readonly all?: true;
  readonly ndjson?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem sockets --vmcore vmcore                 the sockets that pin most, and who holds them
  kdump-mem sockets --vmcore vmcore --by process    what each process pins, and gives back if killed
  kdump-mem sockets --vmcore vmcore --ndjson        every socket that pins anything, a line of
                                                    JSON each, as they are found

A socket that several processes hold counts in each one's group. --pid, --netns, --state and --port
choose what --by adds up as well; what a kill gives back is always told of the whole process.

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could
not be opened or read, 5 (with --strict) the answer is incomplete.`;

/** `kdump-mem sockets`: every socket of the machine, and what each pins. */
export function registerSockets(program: Command): void {
  addSourceOptions(program.command('sockets'))
    .description('every socket of the machine, what it pins and who holds it')
    .addOption(
      new Option('--by <what>', 'add sockets up by what they have in common').choices([
        ...['process', 'cgroup', 'netns', 'port', 'family', 'state'],
      ]),
    )
    .option('--min-bytes <n>', 'list only sockets that pin at least so much', parseNumber, 1)
    .option('--pid <pid>', 'list only sockets that this process holds', parseNumber)
    .option('--netns <inode>', 'list only sockets of this network namespace', parseNumber)
    .option('--state <state>', 'list only sockets in this state, such as ESTABLISHED')
    .option('--port <port>', 'list only sockets with this local or peer port', parseNumber)
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .option('--all', 'list every socket, also those that pin nothing')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option(
        '--ndjson',
        'print each socket as a line of JSON when it is found, in no order',
      ).conflicts(['json', 'by']),
    )
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action(async (options: SocketsOptions) => {
      const [ask, json, text] = await Promise.all([
        import('../../account/sockets.js'),
        import('../../report/sockets-json.js'),
        import('../../report/sockets-text.js'),
      ]);
      const progress = new Progress();
      const onProgress = (part: number) =>
        progress.show(`looking for sockets … ${Math.round(part * 100)} %`);
      const { by } = options;
      const all = options.all || options.json || options.ndjson;
      const limit = options.limit ?? (all ? Number.POSITIVE_INFINITY : 20);
      const isListed = (one: CensusEntry) => isBigEnough(one, options) && matches(one, options);
      if (options.ndjson && options.engine !== 'verify') {
        await streamAnswer(options, function* (kernel, warnings) {
          const entries = ask.accountEach(kernel, warnings, onProgress);
          try {
            for (let left = limit; ; ) {
              const { done, value } = entries.next();
              progress.clear();
              if (done) return value;
              if (left <= 0 || !isListed(value)) continue;
              left--;
              yield `${formatJson(json.censusEntryJson(value))}\n`;
            }
          } finally {
            progress.clear();
          }
        });
        return;
      }
      const listed = (found: CensusAnswer) => found.sockets.filter(isListed);
      const select = (entry: CensusEntry) => matches(entry, options);
      await answer(options, {
        ask: (kernel) => {
          try {
            return ask.accountAll(kernel, { by, select, progress: onProgress });
          } finally {
            progress.clear();
          }
        },
        toJson: (found) => json.socketsJson(found, listed(found), by, limit),
        toText: (found) => text.socketsText(found, listed(found), { by, limit }),
      });
    });
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
  if (state !== undefined && socket.state !== state.toUpperCase().replaceAll('-', '_'))
    return false;
  const { local, peer } = portsOf(socket);
  return port === undefined || [local, peer].includes(String(port));
}

function parseNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
