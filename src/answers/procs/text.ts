import type { ChosenProcs } from '../../account/processes/chosen.js';
import { type ProcessGroup, totalOf } from '../../account/processes/groups.js';
import type { ProcessFigures, ProcessSizes } from '../../account/processes/process.js';
import { capturedWords } from '../captured.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { whereOf } from './where.js';

export interface ProcsTextOptions {
  /** Rows. */
  readonly limit: number;
  readonly verbose?: boolean | undefined;
  /** The options that name the dump, for the next command; a line of shell words. */
  readonly source: string;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width: number | null;
}

/** The answer to `procs`: how much, whose most of it is, then a table, its sum, and what to ask next. */
export function procsText(answer: ChosenProcs, options: ProcsTextOptions): string {
  const { limit, width, source, verbose = false } = options;
  const { processes, groups } = answer;
  const said = (text: string) => wrap(text, width).join('\n');
  const rows = groups ?? processes;
  const more = rows.length - limit;
  return [
    said(headline(answer)),
    groups
      ? renderTable(GROUP_COLUMNS, groups.slice(0, limit), width)
      : renderTable(columnsOf(answer, verbose), processes.slice(0, limit), width),
    ...(more > 0 ? [said(`${formatCount(more)} more: --limit N lists them.`)] : []),
    said(totalWords(answer)),
    ...othersWords(answer).map(said),
    ...unmappedWords(answer).map(said),
    `Next: kdump-mem memory ${source}`,
  ].join('\n\n');
}

function headline({ processes, captured, hidden = false }: ChosenProcs): string {
  const { pss, rss, swap, pageTables, complete } = totalOf(processes);
  const from = captured ? ` As ${capturedWords(captured)}.` : '';
  if (pss === null && rss !== null) return `${residentWords(processes, rss)}${from}`;
  const least = complete && !hidden ? '' : 'at least ';
  return `${formatCount(processes.length)} processes: ${least}${known(pss)} in memory, each page counted once; ${known(swap)} in swap, ${known(pageTables)} of page tables.${mostFreedWords(processes)}${from}`;
}

/** The process whose death frees most, whatever the order of the list, and a larger one whose figure is unknown. */
function mostFreedWords(processes: ChosenProcs['processes']): string {
  const most = largestBy(processes, ({ freed }) => freed);
  if (most === undefined) return '';
  const unknown = processes.filter(({ freed }) => freed === null);
  const larger = largestBy(unknown, ({ rss }) => rss);
  if ((larger?.rss ?? 0) <= (most.freed ?? 0))
    return ` Killing ${who(most)} frees most: ${known(most.freed)}.`;
  return ` Killing ${who(most)} frees ${known(most.freed)}, the most that is known; ${who(larger!)} has RSS ${known(larger!.rss)}, and what its death frees is unknown.`;
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

/** Of processes whose shares are not known, as by ps: what RSS tells. */
function residentWords(processes: ChosenProcs['processes'], rss: number): string {
  const first = largestBy(processes, ({ rss }) => rss);
  const largest = first ? ` The largest is ${who(first)}, ${known(first.rss)}.` : '';
  return `${formatCount(processes.length)} processes: RSS adds up to ${known(rss)}, shared pages again for each; PSS is not known.${largest}`;
}

function totalWords({ processes, hidden = false }: ChosenProcs): string {
  const { uss, pss, rss, swap, network, networkEstimated, complete } = totalOf(processes);
  const part = complete && !hidden ? '' : ' as far as it may be seen';
  const sockets =
    network === null ? '' : `, sockets ${networkEstimated ? '~' : ''}${formatSize(network)}`;
  return `All of them${part}: USS ${known(uss)}, PSS ${known(pss)}, RSS ${known(rss)} (shared pages again for each), swap ${known(swap)}${sockets}.`;
}

function othersWords({ kernelThreads, zombies, gone }: ChosenProcs): string[] {
  const others = [
    ...(kernelThreads > 0 ? [`${formatCount(kernelThreads)} kernel threads`] : []),
    ...(zombies > 0 ? [`${formatCount(zombies)} that have ended (zombies)`] : []),
    ...(gone > 0 ? [`${formatCount(gone)} that ended meanwhile`] : []),
  ];
  return others.length === 0
    ? []
    : [`Not listed, without memory of their own: ${others.join(', ')}.`];
}

/** What of the kinds of memory that processes have no process maps. */
function unmappedWords({ pages }: ChosenProcs): string[] {
  if (!pages) return [];
  const { pageCache, shared, anonymous, swapCache } = pages;
  const kinds = [
    `page cache ${formatSize(pageCache.unmapped)}`,
    ...(shared.unmapped > 0 ? [`shared memory ${formatSize(shared.unmapped)}`] : []),
    ...(anonymous.unmapped + swapCache.unmapped > 0
      ? [`anonymous ${formatSize(anonymous.unmapped + swapCache.unmapped)}`]
      : []),
  ];
  return [`In memory, and mapped by nobody: ${kinds.join(', ')}.`];
}

function who({ pid, comm }: ProcessFigures): string {
  return `pid ${pid} (${escapeText(comm)})`;
}

function known(bytes: number | null): string {
  return bytes === null ? '?' : formatSize(bytes);
}

function sizeColumn<Row extends ProcessSizes>(
  heading: string,
  size: keyof ProcessSizes,
  spare?: number,
): Column<Row> {
  const column = { heading, align: 'right', value: (row: Row) => known(row[size]) } as const;
  return spare === undefined ? column : { ...column, spare };
}

function columnsOf({ processes }: ChosenProcs, verbose: boolean): Column<ProcessFigures>[] {
  const any = (size: keyof ProcessSizes) => processes.some((process) => (process[size] ?? 0) > 0);
  return [
    { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
    sizeColumn('GIVES BACK', 'freed'),
    sizeColumn('USS', 'uss'),
    sizeColumn('PSS', 'pss', 3),
    sizeColumn('RSS', 'rss', 2),
    ...(any('swap') ? [sizeColumn<ProcessFigures>('SWAP', 'swap', 1)] : []),
    ...(any('network') || processes.some(({ networkEstimate }) => networkEstimate)
      ? [socketsColumn]
      : []),
    ...(any('hugetlb') ? [sizeColumn<ProcessFigures>('HUGETLB', 'hugetlb', 1)] : []),
    ...(verbose
      ? [
          sizeColumn<ProcessFigures>('ANON', 'anonymous', 5),
          sizeColumn<ProcessFigures>('FILE', 'file', 6),
          sizeColumn<ProcessFigures>('SHMEM', 'shmem', 6),
          sizeColumn<ProcessFigures>('TABLES', 'pageTables', 7),
          sizeColumn<ProcessFigures>('LOCKED', 'locked', 7),
          numberColumn('THREADS', ({ threads }) => threads),
          numberColumn('AGE S', ({ ageSeconds }) => ageSeconds),
          numberColumn('OOM', ({ oomScore }) => oomScore),
          numberColumn('OOM ADJ', ({ oomScoreAdj }) => oomScoreAdj),
        ]
      : []),
    { heading: 'COMMAND', value: commandOf },
    {
      heading: 'WHERE',
      value: whereOf,
      shrinks: { keeps: 'ends', least: 12 },
      spare: 4,
    },
  ];
}

const socketsColumn: Column<ProcessFigures> = {
  ...sizeColumn<ProcessFigures>('SOCKETS', 'network', 1),
  value: ({ network, networkEstimate }) =>
    `${networkEstimate && network ? '~' : ''}${known(network)}`,
};

function numberColumn(
  heading: string,
  of: (process: ProcessFigures) => number | null,
): Column<ProcessFigures> {
  return { heading, align: 'right', value: (row) => String(of(row) ?? '?'), spare: 8 };
}

function commandOf({ comm, sharedWith }: ProcessFigures): string {
  const others = sharedWith.length === 0 ? '' : ` (shared with pid ${sharedWith.join(', ')})`;
  return `${escapeText(comm)}${others}`;
}

/** A sum of some that are not known is at least that. */
function sumColumn(
  heading: string,
  size: keyof ProcessSizes,
  spare?: number,
): Column<ProcessGroup> {
  const column = sizeColumn<ProcessGroup>(heading, size, spare);
  const value = (group: ProcessGroup) => {
    const least = group.complete || group[size] === null ? '' : '≥ ';
    const about = size === 'network' && group.networkEstimated && group.network ? '~' : '';
    return `${least}${about}${known(group[size])}`;
  };
  return { ...column, value };
}

const GROUP_COLUMNS: readonly Column<ProcessGroup>[] = [
  {
    heading: 'OF',
    value: ({ key }) => (key === null ? '(none)' : escapeText(key)),
    shrinks: { keeps: 'ends', least: 12 },
  },
  { heading: 'PROCESSES', align: 'right', value: ({ processes }) => formatCount(processes) },
  sumColumn('GIVES BACK', 'freed'),
  { heading: 'AT MOST', align: 'right', value: ({ freedMost }) => known(freedMost), spare: 3 },
  sumColumn('USS', 'uss'),
  sumColumn('PSS', 'pss'),
  sumColumn('SWAP', 'swap', 1),
  sumColumn('SOCKETS', 'network', 2),
];
