import {
  type ChosenProcs,
  largestProgram,
  type ProcessGroup,
  type ProcessSort,
  totalOf,
} from '../../account/processes/groups.js';
import type { ProcessFigures, ProcessSizes } from '../../account/processes/process.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { CgroupMemory } from '../../records/cgroups.js';
import type { ProcessIdentity } from '../../records/processes.js';
import { THRESHOLDS } from '../../triage/thresholds.js';
import { capturedWords } from '../origin.js';
import { type Block, blockTexts, tableBlock } from '../text/blocks.js';
import type { Column } from '../text/table.js';
import { zombieParentsJson } from './json.js';

export interface ProcsTextOptions {
  /** Maximum number of rows. */
  readonly limit: number;
  readonly verbose?: boolean | undefined;
  /** Heading of the group column. */
  readonly by?: string | undefined;
  /** The options that name the dump, for the next command, as shell words. */
  readonly source: string;
  /** Columns of the terminal; null: no terminal, and nothing is cut or wrapped. */
  readonly width: number | null;
}

/** Formats the answer to `procs`: totals and the largest process, a table, its sum, and the next command. */
export function procsText(answer: ChosenProcs, options: ProcsTextOptions): string {
  const { width, source } = options;
  const blocks = [procsHeadline(answer), ...procsBlocks(answer, options)];
  return [...blockTexts(blocks, width), `Next: kdump-mem memory ${source}`].join('\n\n');
}

/** Returns tables and sentences, without the headline. */
export function procsBlocks(
  answer: ChosenProcs,
  { limit, verbose = false, by = 'group' }: Pick<ProcsTextOptions, 'limit' | 'verbose' | 'by'>,
): Block[] {
  const { processes, groups } = answer;
  const rows = groups ?? processes;
  const more = rows.length - limit;
  return [
    groups
      ? tableBlock(`Processes by ${by}`, groupColumns(by), groups.slice(0, limit))
      : tableBlock('Processes', columnsOf(answer, verbose), processes.slice(0, limit)),
    ...cgroupBlocks(answer, limit),
    ...(more > 0 ? [`${formatCount(more)} more rows: --limit N lists them.`] : []),
    ...heldWords(answer, verbose),
    ...(verbose ? [totalWords(answer), ...othersWords(answer)] : []),
    ...unmappedWords(answer, verbose),
  ];
}

export function procsHeadline(answer: ChosenProcs): string {
  const { processes, captured, hidden = false } = answer;
  const { pss, rss, swap, pageTables, network, networkEstimated, complete, withoutPss } = totalOf(processes);
  const from = captured ? ` As ${capturedWords(captured)}.` : '';
  if (pss === null && rss !== null) return `${residentWords(processes, rss)}${mostWords(answer)}${from}`;
  const least = complete && !hidden ? '' : 'at least ';
  const sockets = network ? `, plus ${networkEstimated ? 'about ' : ''}${formatSize(network)} in socket queues` : '';
  const swapped = swap ? `, ${formatSize(swap)} of swap` : '';
  const memory = `${least}${known(pss)} of memory (PSS)${sockets}`;
  const tables = `${known(pageTables)} of page tables`;
  const { processes: unread, rss: unreadRss } = withoutPss;
  const used =
    unread === 0
      ? `${useWords('', processes.length)} ${memory}${swapped}, and ${tables}.`
      : `The PSS of ${countWords(unread)} (RSS ${formatSize(unreadRss)}) is not known; ${useWords('the other ', processes.length - unread)} ${memory}. All have ${tables}${swapped}.`;
  return `${visibleWords(answer)}${socketsOfOne(processes)}${mostHeldWords(processes)} ${used}${mostWords(answer)}${zombieWords(answer)}${from}`.trim();
}

const countWords = (count: number): string => (count === 1 ? '1 process' : `${formatCount(count)} processes`);

const useWords = (which: string, count: number): string =>
  `${which}${countWords(count)} ${count === 1 ? 'uses' : 'use'}`;

/** A few zombies are normal. */
const MANY_ZOMBIES = 10;

/** Names the process that has not waited for most zombies. */
function zombieWords(answer: ChosenProcs): string {
  const [most] = zombieParentsJson(answer) ?? [];
  if (!most || most.zombies < MANY_ZOMBIES) return '';
  const name = most.comm === null ? '' : ` (${escapeText(most.comm)})`;
  return ` Most zombies: ${formatCount(most.zombies)} children of pid ${most.pid}${name}.`;
}

/** Sizes that add up, and are small on a healthy machine. */
const SUMMED: Partial<Record<ProcessSort, string>> = { pageTables: 'page tables', threads: 'threads' };

/** Reports the program with the most of what the list is sorted by. */
function mostWords({ processes, sort = 'freed' }: ChosenProcs): string {
  const words = SUMMED[sort];
  const most = words && largestProgram(processes.map((one) => ({ ...one, amount: one[sort] ?? 0 })));
  if (!most) return '';
  const { pid, comm, processes: count, amount } = most;
  const name = escapeText(comm ?? '?');
  const who = count > 1 ? `${formatCount(count)} processes named ${name}` : `pid ${pid} (${name})`;
  return ` Most ${words}: ${who}, ${sort === 'threads' ? formatCount(amount) : formatSize(amount)}.`;
}

/**
 * Names the process that holds most alone, regardless of the order of the list, or a larger one whose figure is
 * unknown.
 */
function mostHeldWords(processes: ChosenProcs['processes']): string {
  const most = largestBy(processes, ({ freed }) => freed);
  if (most === undefined) return '';
  const unknown = processes.filter(({ freed }) => freed === null);
  const larger = largestBy(unknown, ({ rss }) => rss);
  if ((larger?.rss ?? 0) <= (most.freed ?? 0))
    return `Largest process: ${processName(most)}, ${known(most.freed)}${secondWords(processes, most)}.`;
  const how = larger!.pssUnknown === 'large' ? ': --pss all reads how much' : '';
  return `Largest by RSS: ${processName(larger!)}, ${known(larger!.rss)} (some of it may be shared${how}).`;
}

/** The process that holds second most, if it is at least a third of the first. */
function secondWords(processes: ChosenProcs['processes'], most: ProcessFigures): string {
  const others = processes.filter((one) => one !== most);
  const second = largestBy(others, ({ freed }) => freed);
  const freed = second?.freed ?? 0;
  return second && freed > 0 && freed * 3 >= (most.freed ?? 0) ? `; then ${processName(second)}, ${known(freed)}` : '';
}

/** Sockets of a process that pin more are a finding of triage. */
const MUCH_IN_SOCKETS = THRESHOLDS['queued-data'].leastBytes;

/** Names the process with much memory in socket queues, which neither RSS nor PSS shows. */
function socketsOfOne(processes: ChosenProcs['processes']): string {
  const most = largestBy(processes, ({ network }) => network);
  const { network = 0, pss = null, networkEstimate } = most ?? {};
  if (!most || (network ?? 0) < MUCH_IN_SOCKETS) return '';
  const about = networkEstimate ? 'about ' : '';
  return `Unusual: sockets of ${processName(most)} pin ${about}${known(network)}; PSS (${known(pss)}) does not include that. `;
}

/** Kernel threads are visible in the initial pid namespace only. */
function visibleWords({ kernel, captured, hidden, kernelThreads, processes }: ChosenProcs): string {
  if (kernel !== undefined || captured || hidden || kernelThreads > 0 || processes.length === 0) return '';
  return 'Only processes of this container (pid namespace) are visible. ';
}

function largestBy(
  processes: ChosenProcs['processes'],
  of: (process: ProcessFigures) => number | null,
): ProcessFigures | undefined {
  let largest: ProcessFigures | undefined;
  for (const process of processes) {
    const size = of(process);
    if (size !== null && (largest === undefined || size > (of(largest) ?? -1))) largest = process;
  }
  return largest;
}

/** Returns the headline if PSS is unknown; it uses RSS, as ps does. */
function residentWords(processes: ChosenProcs['processes'], rss: number): string {
  const first = largestBy(processes, ({ rss }) => rss);
  const largest = first ? ` The largest is ${processName(first)}, ${known(first.rss)}.` : '';
  return `${formatCount(processes.length)} ${processes.length === 1 ? 'process' : 'processes'}: RSS adds up to ${known(rss)}, with shared pages counted once per process. PSS is not available.${largest}`;
}

function totalWords({ processes, hidden = false }: ChosenProcs): string {
  const { uss, pss, rss, swap, network, networkEstimated, complete, withoutPss } = totalOf(processes);
  const part = complete && !hidden ? '' : ' of all readable figures';
  const { processes: unread, rss: unreadRss } = withoutPss;
  const lacking = unread === 0 ? '' : ` (without ${countWords(unread)}, RSS ${formatSize(unreadRss)})`;
  const sockets =
    network === null ? '' : `, sockets of these processes ${networkEstimated ? '~' : ''}${formatSize(network)}`;
  return `Total${part}: USS ${known(uss)}, PSS ${known(pss)}${lacking}, RSS ${known(rss)} (RSS counts shared pages in every process), swap ${known(swap)}${sockets}.`;
}

function othersWords({ kernelThreads, zombies, gone }: ChosenProcs): string[] {
  const others = [
    ...(kernelThreads > 0
      ? [`${formatCount(kernelThreads)} kernel ${kernelThreads === 1 ? 'thread' : 'threads'}`]
      : []),
    ...(zombies > 0 ? [`${formatCount(zombies)} ${zombies === 1 ? 'zombie' : 'zombies'}`] : []),
    ...(gone > 0 ? [`${formatCount(gone)} ${gone === 1 ? 'process' : 'processes'} that exited during the scan`] : []),
  ];
  return others.length === 0 ? [] : [`Not listed (no memory of their own): ${others.join(', ')}.`];
}

/** Share of what processes use from which memory that no process maps is mentioned without -v. */
const NOTABLE = 0.05;

/** Reports memory that no process maps, of kinds that processes usually map. */
function unmappedWords({ pages, processes }: ChosenProcs, verbose: boolean): string[] {
  if (!pages) return [];
  const { pageCache, shared, anonymous, swapCache } = pages;
  const unmapped = shared.unmapped + anonymous.unmapped + swapCache.unmapped;
  if (!verbose && unmapped < NOTABLE * (totalOf(processes).pss ?? 0)) return [];
  const kinds = [
    `page cache ${formatSize(pageCache.unmapped)}`,
    ...(shared.unmapped > 0 ? [`shared memory ${formatSize(shared.unmapped)}`] : []),
    ...(anonymous.unmapped + swapCache.unmapped > 0
      ? [`anonymous ${formatSize(anonymous.unmapped + swapCache.unmapped)}`]
      : []),
  ];
  return [`Not mapped by any process: ${kinds.join(', ')}.`];
}

/** Says what the first figure consists of, and what no figure of a live process does. */
function heldWords({ processes, pages, captured }: ChosenProcs, verbose: boolean): string[] {
  const { freed, network } = totalOf(processes);
  if (freed === null) return [];
  const lists = captured ? '' : ' (memory --live lists them)';
  const kill = verbose
    ? ` A kill frees at least that${pages ? '' : `, its sockets, and memfds that only the process has open${lists}`}; unread data of its sockets is lost.`
    : '';
  const sockets = pages
    ? network === null
      ? ''
      : ', and SOCKETS without what other processes hold too'
    : network === null
      ? '; sockets are not included (--sockets estimates them)'
      : '; SOCKETS are not included';
  return [`OWN MEMORY: the sum of USS, swap, page tables (TABLES)${sockets}.${kill}`];
}

function processName({ pid, comm }: ProcessFigures): string {
  return `pid ${pid} (${escapeText(comm)})`;
}

function known(bytes: number | null): string {
  return bytes === null ? '?' : formatSize(bytes);
}

function sizeColumn<Row extends ProcessSizes>(heading: string, size: keyof ProcessSizes, spare?: number): Column<Row> {
  const column = { heading, align: 'right', value: (row: Row) => known(row[size]) } as const;
  return spare === undefined ? column : { ...column, spare };
}

function columnsOf({ processes, sort }: ChosenProcs, verbose: boolean): Column<ProcessFigures>[] {
  const any = (size: keyof ProcessSizes) => processes.some((process) => (process[size] ?? 0) > 0);
  return [
    { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
    { ...sizeColumn<ProcessFigures>('OWN MEMORY', 'freed'), value: ownWords },
    readColumn('USS', 'uss', 1),
    sizeColumn('TABLES', 'pageTables', 4),
    readColumn('PSS', 'pss', 3),
    sizeColumn('RSS', 'rss', 2),
    ...(any('swap') ? [sizeColumn<ProcessFigures>('SWAP', 'swap', 1)] : []),
    ...(any('network') || processes.some(({ networkEstimate }) => networkEstimate) ? [socketsColumn] : []),
    ...(any('hugetlb') ? [sizeColumn<ProcessFigures>('HUGETLB', 'hugetlb', 1)] : []),
    ...DETAILS.filter(([size]) => verbose || size === sort).map(([, column]) => column),
    { heading: 'COMMAND', value: commandOf },
    ...cgroupColumn(processes, (process) => process),
  ];
}

/** The memory of a process alone, or its upper bound. */
function ownWords({ freed, rss, swap, pageTables }: ProcessFigures): string {
  if (freed !== null || rss === null || swap === null || pageTables === null) return known(freed);
  return `≤ ${formatSize(rss + swap + pageTables)}`;
}

/** A size that is not read of large processes. */
function readColumn(heading: string, size: 'uss' | 'pss', spare: number): Column<ProcessFigures> {
  const value = (row: ProcessFigures) => (row.pssUnknown === 'large' ? 'not read' : known(row[size]));
  return { ...sizeColumn<ProcessFigures>(heading, size, spare), value };
}

/** Columns of --verbose, and of the size that the list is sorted by. */
const DETAILS: readonly (readonly [ProcessSort, Column<ProcessFigures>])[] = [
  ['anonymous', sizeColumn('ANON', 'anonymous', 5)],
  ['file', sizeColumn('FILE', 'file', 6)],
  ['shmem', sizeColumn('SHMEM', 'shmem', 6)],
  ['locked', sizeColumn('LOCKED', 'locked', 7)],
  ['pinned', sizeColumn('PINNED', 'pinned', 7)],
  ['threads', numberColumn('THREADS', ({ threads }) => threads)],
  ['ageSeconds', numberColumn('AGE S', ({ ageSeconds }) => ageSeconds)],
  ['oomScore', numberColumn('OOM', ({ oomScore }) => oomScore)],
  ['oomScoreAdj', numberColumn('OOM ADJ', ({ oomScoreAdj }) => oomScoreAdj)],
];

const socketsColumn: Column<ProcessFigures> = {
  ...sizeColumn<ProcessFigures>('SOCKETS', 'network', 1),
  value: ({ network, networkEstimate }) => `${networkEstimate && network ? '~' : ''}${known(network)}`,
};

function numberColumn(heading: string, of: (process: ProcessFigures) => number | null): Column<ProcessFigures> {
  return { heading, align: 'right', value: (row) => String(of(row) ?? '?'), spare: 8 };
}

function commandOf({ comm, sharedWith }: ProcessFigures): string {
  const others = sharedWith.length === 0 ? '' : ` (shared with pid ${sharedWith.join(', ')})`;
  return `${escapeText(comm)}${others}`;
}

/** Returns the column of a sum, which is a lower bound if some figures are missing. */
function sumColumn(heading: string, size: keyof ProcessSizes, spare?: number): Column<ProcessGroup> {
  const column = sizeColumn<ProcessGroup>(heading, size, spare);
  const value = (group: ProcessGroup) => {
    const least = group.complete || group[size] === null ? '' : '≥ ';
    const about = size === 'network' && group.networkEstimated && group.network ? '~' : '';
    return `${least}${about}${known(group[size])}`;
  };
  return { ...column, value };
}

function groupColumns(by: string): readonly Column<ProcessGroup>[] {
  return [
    {
      heading: by.toUpperCase(),
      value: ({ key }) => (key === null ? '(none)' : escapeText(key)),
      shrinks: { keeps: 'ends', least: 12 },
    },
    { heading: 'PROCESSES', align: 'right', value: ({ processes }) => formatCount(processes) },
    sumColumn('OWN MEMORY', 'freed'),
    { heading: 'AT MOST', align: 'right', value: ({ freedMost }) => known(freedMost), spare: 3 },
    sumColumn('USS', 'uss'),
    sumColumn('PSS', 'pss'),
    sumColumn('SWAP', 'swap', 1),
    sumColumn('SOCKETS', 'network', 2),
  ];
}

interface CgroupRow extends CgroupMemory {
  readonly path: string;
}

function limitWords({ limit, limitKnown }: CgroupRow): string {
  if (limit === null) return limitKnown ? 'none' : '?';
  return `${limitKnown ? '' : '≤ '}${formatSize(limit)}`;
}

/** Memory that the kernel charges to each cgroup: also for what no process maps. */
function cgroupBlocks({ groups = [], cgroups }: ChosenProcs, limit: number): Block[] {
  const rows = groups.slice(0, limit).flatMap(({ key }): CgroupRow[] => {
    const memory = key === null ? null : cgroups?.get(key);
    return key !== null && memory ? [{ path: key, ...memory }] : [];
  });
  if (rows.length === 0) return [];
  const column = (heading: string, of: (row: CgroupRow) => string, spare?: number) =>
    ({ heading, align: 'right', value: of, ...(spare === undefined ? {} : { spare }) }) as const;
  const heading = 'Charged to each cgroup and those below it, with the smallest limit of it and those above it:';
  return [
    heading,
    tableBlock<CgroupRow>(
      'Memory charged to cgroups',
      [
        { heading: 'CGROUP', value: ({ path }) => escapeText(path), shrinks: { keeps: 'ends', least: 12 } },
        column('USED', ({ current }) => formatSize(current)),
        column('LIMIT', limitWords),
        column('RECLAIMABLE', ({ reclaimable }) => known(reclaimable), 2),
        column('ANON', ({ anonymous }) => known(anonymous), 3),
        column('FILE', ({ file }) => known(file), 3),
        column('ACTIVE FILE', ({ activeFile }) => known(activeFile), 4),
        column('SHMEM', ({ shmem }) => known(shmem), 5),
        column('KERNEL', ({ kernel }) => known(kernel), 4),
        column('SOCK', ({ sock }) => known(sock), 6),
        column('PEAK', ({ peak }) => known(peak), 7),
        column('OOM KILLS', ({ oomKills }) => String(oomKills ?? '?'), 1),
        column('STALLED', ({ pressure }) => (pressure ? `${pressure.full.avg60} %` : '?'), 6),
      ],
      rows,
    ),
  ];
}

/** Pod, container or cgroup of processes; no column if none is in any. */
export function cgroupColumn<Row>(
  rows: readonly Row[],
  of: (row: Row) => Parameters<typeof whereOf>[0],
): Column<Row>[] {
  if (rows.every((row) => whereOf(of(row)) === '')) return [];
  return [{ heading: 'CGROUP', value: (row) => whereOf(of(row)), shrinks: { keeps: 'ends', least: 12 }, spare: 4 }];
}

/** Returns the pod, container or cgroup of a process, and its pid there. */
function whereOf({ cgroup, nsPids }: Pick<ProcessIdentity, 'cgroup' | 'nsPids'>): string {
  const own = nsPids.length > 1 ? ` pid ${nsPids.at(-1)} inside` : '';
  if (cgroup?.pod) return `pod ${escapeText(cgroup.pod)}${own}`;
  if (cgroup?.container) return `container ${escapeText(cgroup.container.slice(0, 12))}${own}`;
  return `${cgroup === null || cgroup.path === '/' ? '' : escapeText(cgroup.path)}${own}`.trim();
}
