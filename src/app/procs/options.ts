import { type Command, Option } from 'commander';
import type { ProcessGrouping } from '../../account/processes/groups.js';
import type { ProcessFigures } from '../../contracts/procs.js';
import type { HostSource } from '../../host/host-source.js';
import type { ProcessSize } from '../../records/processes.js';
import type { PssChoice } from '../../records/pss.js';
import type { AnswerOptions } from '../kit/answer.js';
import { parseNumber, parseShortInterval } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { checkFrom, type FromOptions } from '../kit/from-argument.js';
import type { PageOptions } from '../kit/html-page.js';
import { collectFiles } from '../kit/kernel-source.js';
import type { StacksOptions } from './stacks.js';

export interface ProcsOptions extends AnswerOptions, FromOptions, GrowthOptions, PageOptions, StacksOptions {
  readonly sort: keyof typeof SORT_WORDS;
  readonly by?: ProcessGrouping;
  readonly pid?: number;
  readonly container?: string | undefined;
  readonly limit?: number;
  readonly verbose?: true;
  readonly sockets?: true;
  readonly pss?: PssChoice;
  readonly fds?: true;
  readonly huge?: true;
  readonly failOn?: readonly ProcessThreshold[];
}

/** A limit of `--fail-on` for each process, or for each group of `--by`, in bytes. */
export interface ProcessThreshold {
  readonly column: string;
  readonly size: ProcessSize;
  readonly bytes: number;
}

/** Columns by their names for --sort. */
export const SORT_WORDS = {
  freed: 'freedIfKilledBytes',
  uss: 'ussBytes',
  pss: 'pssBytes',
  rss: 'rssBytes',
  anon: 'anonBytes',
  file: 'fileBytes',
  shmem: 'shmemBytes',
  swap: 'swapBytes',
  hugetlb: 'hugetlbBytes',
  'page-tables': 'pageTableBytes',
  locked: 'lockedBytes',
  pinned: 'pinnedBytes',
  sockets: 'networkPinnedBytes',
  threads: 'threads',
  age: 'ageSeconds',
  oom: 'oomScore',
} as const;

/** Options for dumps that do not apply to /proc. */
const OF_DUMPS = ['vmlinux', 'symbols', 'types', 'crash', 'map'] as const;

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
    | (typeof OF_DUMPS)[number]
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
  const idle = OF_DUMPS.find((name) => options[name] !== undefined);
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

interface GrowthOptions {
  readonly watch?: true;
  /** Seconds between the starts of two samples. */
  readonly interval?: number;
  readonly count?: number;
  readonly ndjson?: true;
  readonly fromSamples?: readonly string[];
  /** Output file; true: stdout. */
  readonly prometheus?: string | true;
}

/** Options of the process list that growth does not support. */
const OF_LISTS = ['sort', 'by', 'sockets', 'stacks'];

/** Adds the growth options of `procs`. */
export function addGrowthOptions(command: Command): void {
  command
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
