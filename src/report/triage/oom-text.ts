import type {
  ListedTask,
  OomReport,
  SiteShown,
  SlabShown,
  TaskGroup,
  TaskMemory,
  ZoneShown,
} from '../../triage/oom-report.js';
import { cutMiddle } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';

/** Rows of a table without -v, and with it. */
const FEW = 5;
const MANY = 20;
/** Counters of a memcg that say where its memory is: the largest. */
const COUNTERS = 8;

const size = (bytes: number | null): string => (bytes === null ? '?' : formatSize(bytes));

function sized<Row>(heading: string, bytes: (row: Row) => number | null): Column<Row> {
  return { heading, align: 'right', value: (row) => size(bytes(row)) };
}

function named<Row>(heading: string, name: (row: Row) => string): Column<Row> {
  return {
    heading,
    value: (row) => escapeText(name(row)),
    shrinks: { keeps: 'ends', least: 12 },
  };
}

const MEMORY: readonly Column<TaskMemory>[] = [
  sized('RSS', ({ rssBytes }) => rssBytes),
  sized('PAGE TABLES', ({ pageTableBytes }) => pageTableBytes),
  sized('SWAP', ({ swapBytes }) => swapBytes),
];

/** Tables of a report of the OOM killer: processes by name; with -v all else that the kernel printed. */
export function oomLines(oom: OomReport, width: number | null, verbose: boolean): string[] {
  const most = verbose ? MANY : FEW;
  const lines: string[] = [];
  const table = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]) => {
    if (rows.length === 0) return;
    lines.push(...renderTable(columns, rows.slice(0, most), width).split('\n'));
    if (rows.length > most) lines.push(`… ${rows.length - most} more`);
  };
  table<TaskGroup>(
    [
      { heading: 'PROCESSES', align: 'right', value: ({ tasks }) => String(tasks) },
      ...MEMORY,
      named('NAME', ({ name }) => name || '(other names)'),
    ],
    oom.byName,
  );
  for (const { path, counters } of oom.memcgs.slice(0, verbose ? MANY : 1))
    lines.push(...memcgLine(path, counters, width));
  if (!verbose) return lines;
  table<ListedTask>(
    [
      { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
      ...MEMORY,
      {
        heading: 'OOM ADJ',
        align: 'right',
        value: ({ oomScoreAdj }) => String(oomScoreAdj ?? '?'),
      },
      named('NAME', ({ name }) => name),
    ],
    oom.tasks,
  );
  table(ZONE_COLUMNS, oom.zones);
  table<SlabShown>(
    [
      sized('TOTAL', ({ totalBytes }) => totalBytes),
      sized('USED', ({ usedBytes }) => usedBytes),
      named('SLAB CACHE', ({ cache }) => cache),
    ],
    oom.slabs,
  );
  table<SiteShown>(
    [
      sized('ABOUT', ({ aboutBytes }) => aboutBytes),
      { heading: 'CALLS', align: 'right', value: ({ calls }) => String(calls) },
      named('ALLOCATION SITE', ({ site }) => site),
    ],
    oom.sites,
  );
  return lines;
}

const ZONE_COLUMNS: readonly Column<ZoneShown>[] = [
  { heading: 'NODE', align: 'right', value: ({ node }) => String(node) },
  { heading: 'ZONE', value: ({ zone }) => zone },
  sized('FREE', ({ freeBytes }) => freeBytes),
  sized('MIN', ({ minBytes }) => minBytes),
  sized('LOW', ({ lowBytes }) => lowBytes),
  sized('HIGH', ({ highBytes }) => highBytes),
  {
    heading: 'FREE BLOCKS (ORDER×COUNT)',
    value: ({ freeBlocks }) =>
      freeBlocks
        ?.filter(({ count }) => count > 0)
        .map(({ order, count }) => `${order}×${count}`)
        .join(' ') ?? '?',
  },
];

/** Counters of memory.stat that are sizes: some are part of another one. Those of cgroup v1 last. */
const SIZES = new Set(
  'anon file shmem kernel slab kernel_stack pagetables percpu vmalloc sock zswap rss cache swap'.split(
    ' ',
  ),
);

function memcgLine(
  path: string,
  counters: Readonly<Record<string, number>>,
  width: number | null,
): string[] {
  const parts = Object.entries(counters)
    .filter(([name, bytes]) => bytes > 0 && SIZES.has(name))
    .sort(([, a], [, b]) => b - a)
    .slice(0, COUNTERS);
  if (parts.length === 0) return [];
  const name = escapeText(path);
  const shown = width === null ? name : cutMiddle(name, Math.max(20, width - 40));
  return [
    `Memory cgroup ${shown}: ${parts.map(([part, bytes]) => `${part} ${formatSize(bytes)}`).join(', ')}`,
  ];
}
