import type { ProcessGrouping } from '../../account/processes/groups.js';
import type { ProcessFigures } from '../../account/processes/process.js';
import type { AnswerOptions } from '../kit/answer.js';
import { UsageError } from '../kit/failure.js';
import { checkFrom, type FromOptions } from '../kit/from-argument.js';
import type { GrowthOptions } from './growth-options.js';
import type { StacksOptions } from './stacks.js';

export interface ProcsOptions extends AnswerOptions, FromOptions, GrowthOptions, StacksOptions {
  readonly sort: keyof typeof SORT_WORDS;
  readonly by?: ProcessGrouping;
  readonly pid?: number;
  readonly container?: string | undefined;
  readonly limit?: number;
  readonly verbose?: true;
  readonly sockets?: true;
}

/** Columns by their names for --sort. */
export const SORT_WORDS = {
  freed: 'freed',
  uss: 'uss',
  pss: 'pss',
  rss: 'rss',
  anon: 'anonymous',
  file: 'file',
  shmem: 'shmem',
  swap: 'swap',
  hugetlb: 'hugetlb',
  'page-tables': 'pageTables',
  locked: 'locked',
  sockets: 'network',
  threads: 'threads',
  age: 'ageSeconds',
  oom: 'oomScore',
} as const;

/** Options of dumps, without meaning for /proc. */
const OF_DUMPS = ['vmlinux', 'symbols', 'types', 'crash', 'map'] as const;

/**
 * Rejects options that do not apply.
 *
 * @throws {UsageError} a dump beside --live, an option that --live does not support, an empty id
 */
export function checkProcsSource(
  options: Pick<
    ProcsOptions,
    | 'live'
    | 'from'
    | 'engine'
    | 'vmcore'
    | 'container'
    | 'prometheus'
    | 'speedscope'
    | (typeof OF_DUMPS)[number]
  >,
): void {
  const { live, vmcore, container, prometheus, speedscope } = options;
  // A script's variable that is not set: it would mean every container.
  if (container === '') throw new UsageError('--container: the id is empty');
  if (prometheus === '' || speedscope === '') throw new UsageError('a file’s name is empty');
  checkFrom(options);
  if (!live) return;
  if (vmcore !== undefined) throw new UsageError('--live and --vmcore exclude each other');
  const idle = OF_DUMPS.find((name) => options[name] !== undefined);
  if (idle !== undefined)
    throw new UsageError(`--live does not support --${idle}, because it reads /proc`);
}

/** A filter for --pid and --container. */
export function selection({ pid, container }: ProcsOptions): (process: ProcessFigures) => boolean {
  return (process) => {
    if (container !== undefined && !process.cgroup?.container?.startsWith(container)) return false;
    if (pid === undefined) return true;
    if (container === undefined) return process.pid === pid || process.sharedWith.includes(pid);
    return process.nsPids.at(-1) === pid;
  };
}
