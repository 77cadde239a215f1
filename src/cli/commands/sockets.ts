import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CensusAnswer, CensusEntry, Grouping } from '../../account/sockets.js';
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
  readonly limit: number;
  readonly all?: true;
  readonly ndjson?: true;
}

const EXAMPLES = `
Examples:
  kdump-mem sockets --vmcore vmcore                 the sockets that pin most, and who holds them
  kdump-mem sockets --vmcore vmcore --by process    what each process pins, and gives back if killed
  kdump-mem sockets --vmcore vmcore --ndjson        every socket that pins anything, a line of
                                                    JSON each, as they are found

A socket that several processes hold counts in each one's group.

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
    .option('--limit <n>', 'list so many at most', parseNumber, 20)
    .option('--all', 'list every socket, also those that pin nothing')
    .option('--json', 'print the answer as JSON')
    .option('--ndjson', 'print each socket as a line of JSON when it is found, in no order')
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
      if (options.ndjson && !options.json && options.engine !== 'verify') {
        await streamAnswer(options, function* (kernel, warnings) {
          const entries = ask.accountEach(kernel, warnings, onProgress);
          try {
            for (;;) {
              const { done, value } = entries.next();
              progress.clear();
              if (done) return value;
              if (matches(value, options)) yield `${JSON.stringify(json.censusEntryJson(value))}\n`;
            }
          } finally {
            progress.clear();
          }
        });
        return;
      }
      const limit = options.all ? Number.POSITIVE_INFINITY : options.limit;
      const listed = (found: CensusAnswer) => found.sockets.filter((one) => matches(one, options));
      await answer(options, {
        ask: (kernel) => {
          try {
            return ask.accountAll(kernel, { by, progress: onProgress });
          } finally {
            progress.clear();
          }
        },
        toJson: (found) => json.socketsJson(found, listed(found), by),
        toText: (found) => text.socketsText(found, listed(found), { by, limit }),
      });
    });
}

function matches(entry: CensusEntry, options: SocketsOptions): boolean {
  const { socket, holders, total } = entry;
  const { all, minBytes, pid, netns, state, port } = options;
  if (!all && total.complete && total.pinnedBytes < minBytes) return false;
  if (pid !== undefined && !holders.some((holder) => holder.pid === pid)) return false;
  if (netns !== undefined && socket.netns !== netns) return false;
  if (state !== undefined && socket.state !== state.toUpperCase().replaceAll('-', '_'))
    return false;
  const ports = [socket.local, socket.peer].map((end) => /:(\d+)$/.exec(end ?? '')?.[1]);
  return port === undefined || ports.includes(String(port));
}

function parseNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
