import { type Command, InvalidArgumentError, Option } from 'commander';
import { GROUPINGS } from '../../account/processes/groups.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { HostSource } from '../../host/host-source.js';
import { PSS_CHOICES } from '../../records/pss.js';
import type { NamespacedPid } from '../../walk/processes/process-facts.js';
import type { AnswerOptions } from '../kit/answer.js';
import { type OptionsOf, parseNumber, parseShortInterval } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { addFromOption, checkFrom, type FromOptions } from '../kit/from-argument.js';
import { addSourceOptions, collectFiles, KERNEL_FILES, liveByDefault } from '../kit/kernel-source.js';
import type { StacksOptions } from './stacks.js';
import { parseThreshold, SORT_WORDS } from './thresholds.js';

/** Options as given: --pid may be NS:PID. */
export type GivenProcsOptions = OptionsOf<typeof addProcsOptions> & GrowthOptions & StacksOptions;

export type ProcsOptions = Omit<GivenProcsOptions, 'pid' | 'container'> & {
  readonly pid?: number;
  readonly container?: string | undefined;
};

type GrowthOptions = OptionsOf<typeof addGrowthOptions>;

/** Adds the options of `procs`, without those for growth and for stacks. */
export function addProcsOptions(command: Command) {
  const declared = liveByDefault(addSourceOptions(command))
    .usage('[options] [dump...]')
    .description('list processes by the memory that a kill frees: USS, PSS, swap, page tables, sockets')
    .addOption(
      new Option('--pid <pid>', 'mappings of this process; NS:PID is a pid in a pid namespace')
        .argParser(parsePid)
        .conflicts('sort'),
    )
    .addOption(
      new Option('--fds', 'with --pid: open descriptors by kind').conflicts([
        'by',
        'limit',
        'sockets',
        'stacks',
        'watch',
        'ndjson',
        'prometheus',
        'fromSamples',
      ]),
    )
    .option('--container <id>', 'only processes of this container (id or its beginning)')
    .addOption(new Option('--by <what>', 'group processes and show sums').choices(GROUPINGS))
    .addOption(
      new Option('--sort <column>', 'sort by this column, largest first')
        .choices(Object.keys(SORT_WORDS) as (keyof typeof SORT_WORDS)[])
        .default('freed'),
    )
    .option('--limit <n>', 'maximum number of rows (default 20; JSON: all)', parseNumber)
    .addOption(
      new Option(
        '--pss <which>',
        'with --live: read PSS and USS of processes up to 512 MiB (small, the default), or of all: a process can map no memory while it is read',
      )
        .choices(PSS_CHOICES)
        .conflicts(['pid', 'fromSamples']),
    )
    .option('--sockets', 'with --live or --from: estimate the memory that sockets pin, by ss')
    .addOption(
      new Option(
        '--huge',
        'of a dump: count zeros in transparent huge pages; reads the content of all of them',
      ).conflicts(['pid', 'fds', 'stacks', 'watch', 'ndjson', 'prometheus', 'fromSamples']),
    )
    .option('-v, --verbose', 'show all columns; with --pid all mappings')
    .option('--json', 'print the answer as JSON')
    .addOption(
      new Option(
        '--fail-on <limit>',
        'exit with status 1 if a process, or a group of --by, exceeds a size, such as anon=4G (repeatable)',
      )
        .argParser(parseThreshold)
        .conflicts(['pid', 'stacks', 'watch', 'ndjson', 'prometheus', 'fromSamples']),
    )
    .addOption(
      new Option('--html <file>', 'write an HTML page; - writes to stdout').conflicts([
        'json',
        'pid',
        'fds',
        'stacks',
        'watch',
        'ndjson',
        'prometheus',
        'fromSamples',
      ]),
    )
    .option('--strict', 'exit with status 5 if the answer is incomplete');
  return addFromOption(declared, ['stacks', 'speedscope', 'fromSamples', 'interval', 'count']);
}

/** A pid in the machine's initial pid namespace, or in another. */
type PidArgument = number | NamespacedPid;

/** Parses `4711` or `4026532201:7`. */
function parsePid(text: string): PidArgument {
  const [, namespace, inside] = /^(\d{1,15}):(\d{1,10})$/.exec(text) ?? [];
  const pid = parseNumber(inside ?? text);
  if (pid < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return namespace === undefined ? pid : { namespace: Number(namespace), pid };
}

/**
 * Rejects options that do not apply.
 *
 * @throws {UsageError} a dump with --live, an option that --live does not support, an empty id
 */
export function checkProcsSource(
  options: Pick<
    ProcsOptions,
    | 'live'
    | 'from'
    | 'engine'
    | 'vmcore'
    | 'container'
    | 'pss'
    | 'huge'
    | 'prometheus'
    | 'speedscope'
    | (typeof KERNEL_FILES)[number]
  >,
): void {
  const { live, vmcore, container, prometheus, speedscope, pss, huge, from } = options;
  // An empty id, typically from an unset variable in a script, would select every container.
  if (container === '') throw new UsageError('--container: the id is empty');
  if (prometheus === '' || speedscope === '') throw new UsageError('a file’s name is empty');
  checkFrom(options);
  if (pss !== undefined && !live) throw new UsageError('--pss requires --live: other inputs contain what they contain');
  if (huge && (live || from !== undefined))
    throw new UsageError('--huge requires a dump: it reads the content of huge pages');
  if (!live) return;
  if (vmcore !== undefined) throw new UsageError('--live and --vmcore exclude each other');
  const idle = KERNEL_FILES.find((name) => options[name] !== undefined);
  if (idle !== undefined) throw new UsageError(`--live does not support --${idle}, because it reads /proc`);
}

/** Returns a filter for --pid and --container. */
export function selection({ pid, container }: ProcsOptions): (process: ProcessFigures) => boolean {
  return (process) => {
    if (container !== undefined && !process.container?.startsWith(container)) return false;
    if (pid === undefined) return true;
    if (container === undefined) return process.pid === pid || process.sharedWith.includes(pid);
    return process.nsPids.at(-1) === pid;
  };
}

/** Options of the process list that growth does not support. */
const OF_LISTS = ['sort', 'by', 'sockets', 'stacks'];

/** Adds the growth options of `procs`. */
export function addGrowthOptions(command: Command) {
  return command
    .addOption(
      new Option(
        '--watch',
        'refresh a live table of the processes that grow, with rates and bounds; in a pipe, print blocks of text',
      ).conflicts(['json', ...OF_LISTS]),
    )
    .option('--interval <time>', 'time between samples (default 2 s)', parseShortInterval)
    .option('--count <n>', 'number of samples, then exit', parseNumber)
    .addOption(
      new Option('--ndjson', 'print one line of JSON per process and sample').conflicts([
        'json',
        'prometheus',
        'limit',
        ...OF_LISTS,
      ]),
    )
    .addOption(
      new Option('--from-samples <file>', 'show growth from lines that --ndjson printed (repeat for each file)')
        .argParser(collectFiles)
        .conflicts(['live', 'watch', 'ndjson', 'pid', 'container', ...OF_LISTS]),
    )
    .addOption(
      new Option(
        '--prometheus [file]',
        'print metrics, or write them to a file for the textfile collector; with --watch on every sample',
      ).conflicts(['json', 'limit', ...OF_LISTS]),
    );
}

/**
 * Whether the options request growth instead of a list.
 *
 * @throws {UsageError} for options that conflict
 */
export function isGrowthRequested(options: AnswerOptions & FromOptions & GrowthOptions): boolean {
  const { watch, interval, count, ndjson, prometheus, live, from, fromSamples, engine } = options;
  if (!watch && interval !== undefined) throw new UsageError('--interval requires --watch');
  if (!watch && count !== undefined) throw new UsageError('--count requires --watch');
  if (count === 0) throw new UsageError('--count must be 1 or more');
  const isSampled = watch || ndjson || prometheus !== undefined || fromSamples !== undefined;
  if (!isSampled) return false;
  if (fromSamples !== undefined && options.vmcore !== undefined)
    throw new UsageError(
      '--from-samples cannot be combined with a dump',
      'Repeat --from-samples before each file of samples.',
    );
  const name = watch ? '--watch' : ndjson ? '--ndjson' : '--prometheus';
  if (!live && from === undefined && fromSamples === undefined)
    throw new UsageError(`${name} requires --live: a dump does not change`);
  if (engine !== 'auto') throw new UsageError(`${name} reads /proc and has no --engine`);
  if (watch && prometheus === true) throw new UsageError('--watch requires a file name: --prometheus FILE');
  return true;
}

/**
 * Returns the pid, in the machine's initial namespace, of the one process that --pid and --container select.
 *
 * @throws {WalkError} none or several match
 */
export async function onePid(options: ProcsOptions, source: HostSource): Promise<number> {
  const { pid, container } = options;
  if (pid === undefined) throw new UsageError('--stacks records one process: select it with --pid');
  if (container === undefined) return pid;
  const [{ readProcesses }, { hostProcesses }, { onlyOne }] = await Promise.all([
    import('../../host/proc/process-memory.js'),
    import('../../account/processes/host.js'),
    import('../../account/processes/process.js'),
  ]);
  return onlyOne(
    hostProcesses(await readProcesses(source, { withoutOom: true, pss: 'none' })).processes,
    selection(options),
  ).pid;
}
