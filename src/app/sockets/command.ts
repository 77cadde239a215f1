import { type Command, InvalidArgumentError, Option } from 'commander';
import { STATE_NAMES } from '../../walk/sockets/sock-words.js';
import { parseNumber, parseSize } from '../kit/arguments.js';
import { addSourceOptions } from '../kit/kernel-source.js';
import { answerSockets, type SocketsOptions, streamSockets } from './answer.js';

const EXAMPLES = `
Examples:
  kdump-mem sockets --vmcore vmcore                 the sockets that pin most, and who holds them
  kdump-mem sockets --vmcore vmcore --by process    what each process pins, and gives back if killed
  kdump-mem sockets --vmcore vmcore --ndjson        every socket that pins anything, a line of
                                                    JSON each, as they are found; the last line
                                                    (kdump-mem.sockets-end/1) tells the whole

PAGES: how many, and of which order (330×0 2×3: 330 of one base page, 2 of 8). ×: PINNED over PAYLOAD.
QUEUE: the one that pins most, and how many others hold something. ≥, "at least": something could not
be read. An address is for skb --sock. A terminal that is too narrow leaves out columns, and cuts
sockets and owners with …; in a pipe nothing is cut.

A socket that several processes hold counts in each one's group. --pid, --netns, --state and --port
choose what --by adds up as well; what a kill gives back is always told of the whole process.

Exit status: 0 answered, 1 the engines differ (verify), 2 wrong usage, 3 the dump or kernel could
not be opened or read, 4 the pid or network namespace is not there, 5 (with --strict) the answer is
incomplete.`;

/** `kdump-mem sockets`: every socket of the machine, and what each pins. */
export function registerSockets(program: Command): void {
  addSourceOptions(program.command('sockets'))
    .usage('[options] [dump...]')
    .description('every socket of the machine, what it pins and who holds it')
    .addOption(
      new Option('--by <what>', 'add sockets up by what they have in common').choices([
        ...['process', 'cgroup', 'netns', 'port', 'family', 'state'],
      ]),
    )
    .option(
      '--min-bytes <size>',
      'list only sockets that pin so much, as in 100k or 1M',
      parseSize,
      1,
    )
    .option('--pid <pid>', 'list only sockets that this process holds', parseNumber)
    .option('--netns <inode>', 'list only sockets of this network namespace', parseNumber)
    .option('--state <state>', 'list only sockets in this state, such as LISTEN', parseState)
    .option('--port <port>', 'list only sockets with this local or peer port', parsePort)
    .option('--limit <n>', 'list so many at most (20; JSON: all)', parseNumber)
    .addOption(
      new Option('--all', 'list every socket, also those that pin nothing').conflicts([
        ...['limit', 'minBytes'],
      ]),
    )
    .option('-v, --verbose', 'say of each socket what keeps it, where it is, and its cgroup')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option(
        '--ndjson',
        'print each socket as a line of JSON when it is found, in no order',
      ).conflicts(['json', 'by']),
    )
    .option('--strict', 'exit with status 5 if anything could not be read')
    .addHelpText('after', EXAMPLES)
    .action((options: SocketsOptions) =>
      options.ndjson ? streamSockets(options) : answerSockets(options),
    );
}

/** What `ss` prints for states that it calls otherwise. */
const SS_STATES: Readonly<Record<string, string>> = { ESTAB: 'ESTABLISHED', UNCONN: 'CLOSE' };

/** A state's name as `ss` spells it (FIN-WAIT-1) or the kernel (FIN_WAIT1), in large or small letters. */
function parseState(text: string): string {
  const bare = (name: string) => name.toUpperCase().replaceAll(/[-_]/g, '');
  const asked = SS_STATES[text.toUpperCase()] ?? text;
  const known = STATE_NAMES.find((name) => bare(name) === bare(asked));
  if (known !== undefined) return known;
  if (/^STATE_\d+$/.test(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${STATE_NAMES.join(', ')}.`);
}

function parsePort(text: string): number {
  const port = parseNumber(text);
  if (port < 1 || port > 65535) throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
