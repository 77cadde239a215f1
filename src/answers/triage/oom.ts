import { escapeText } from '../../base/escape.js';
import { formatSize } from '../../base/size.js';
import type {
  ListedTask,
  OomReport,
  SiteShown,
  SlabShown,
  TaskGroup,
  TaskMemory,
  ZoneShown,
} from '../../contracts/log-reports.js';
import type { Finding } from '../../triage/finding.js';
import { cgroupName, type Figure, type Figures } from '../../triage/findings/declared.js';
import { cutMiddle, wrap } from '../text/cut.js';
import { type Column, renderTable } from '../text/table.js';

/** A part of memory as people read it. */
const share = (bytes: number, ram: number): string => `${Math.round((100 * bytes) / ram)} %`;

/** Rows of a table without -v, and with it. */
const FEW = 5;
const MANY = 20;
const MANY_COUNTERS = 40;
/** Counters of a memcg that say where its memory is: the largest. */
const COUNTERS = 8;

const size = (bytes: number | null): string => (bytes === null ? '?' : formatSize(bytes));

function sized<Row>(heading: string, bytes: (row: Row) => number | null): Column<Row> {
  return { heading, align: 'right', value: (row) => size(bytes(row)) };
}

function named<Row>(heading: string, name: (row: Row) => string): Column<Row> {
  return { heading, value: (row) => escapeText(name(row)), shrinks: { keeps: 'ends', least: 12 } };
}

const MEMORY: readonly Column<TaskMemory>[] = [
  sized('RSS', ({ rssBytes }) => rssBytes),
  sized('PAGE TABLES', ({ pageTableBytes }) => pageTableBytes),
  sized('SWAP', ({ swapBytes }) => swapBytes),
];

/** Tables of an OOM report: processes by name; with -v all other parts of the kernel's report. */
export function oomLines(
  { oom, figures }: Pick<Finding, 'oom' | 'figures'>,
  width: number | null,
  verbose: boolean,
): string[] {
  if (!oom) return [];
  const most = verbose ? MANY : FEW;
  const lines: string[] = [];
  const table = <Row>(columns: readonly Column<Row>[], rows: readonly Row[], shown = most) => {
    if (rows.length === 0) return;
    lines.push(...renderTable(columns, rows.slice(0, shown), width).split('\n'));
    if (rows.length > shown) lines.push(`… ${rows.length - shown} more`);
  };
  if (oom.byName.length > 0) lines.push('Processes at that time, by name, largest total first:');
  table<TaskGroup>(
    [
      { heading: 'COUNT', align: 'right', value: ({ tasks }) => String(tasks) },
      ...MEMORY,
      named('NAME', ({ name }) => name || '(other names)'),
    ],
    oom.byName,
  );
  if (verbose && oom.byName.length > 0)
    lines.push(...wrap('RSS here is the kernel’s counter, which may lag by some pages per CPU.', width));
  lines.push(...survivorLines(oom, figures, width));
  if (!verbose) return lines;
  for (const { path, counters } of oom.memcgs.slice(0, MANY)) lines.push(...memcgLine(path, counters, width));
  lines.push(...machineLines(figures, width));
  if (oom.stack.length > 0)
    lines.push(
      ...wrap(
        `Stack: ${oom.stack
          .filter(({ guess }) => !guess)
          .map(({ symbol }) => escapeText(symbol))
          .join(' ← ')}`,
        width,
      ),
    );
  table<readonly [name: string, bytes: number]>(
    [sized('BYTES', ([, bytes]) => bytes), named('COUNTER', ([name]) => name)],
    countersOf(figures),
    MANY_COUNTERS,
  );
  const { ramBytes: ram } = figures;
  table<ListedTask>(
    [
      { heading: 'PID', align: 'right', value: ({ pid }) => String(pid) },
      ...MEMORY,
      ...(typeof ram !== 'number'
        ? []
        : [{ heading: 'RAM', align: 'right', value: (row: ListedTask) => share(row.rssBytes, ram) } as const]),
      { heading: 'OOM ADJ', align: 'right', value: ({ oomScoreAdj }) => String(oomScoreAdj ?? '?') },
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

/** Processes with the name of the victim that were not killed with it; none if some victims are unknown. */
function survivorLines(
  { tasks, victims, byName }: Pick<OomReport, 'tasks' | 'victims' | 'byName'>,
  { outcome, victims: killed, comm }: Figures,
  width: number | null,
): string[] {
  if (outcome !== 'killed' || killed !== victims.length) return [];
  const dead = new Set(victims.map(({ pid }) => pid));
  const others = tasks.filter(({ name, pid }) => name === comm && !dead.has(pid));
  const [largest] = others.toSorted((a, b) => b.rssBytes - a.rssBytes);
  if (largest === undefined) return [];
  // Only the largest tasks are listed, and of names.
  const named = byName.find(({ name }) => name === comm)?.tasks;
  const killedOfName = victims.filter((victim) => victim.comm === comm).length;
  const rest = named === undefined ? others.length - 1 : named - killedOfName - 1;
  const more = rest > 0 ? ` and ${named === undefined ? 'at least ' : ''}${rest} more` : '';
  return wrap(
    `At that time others of the same name still ran: pid ${largest.pid}, RSS ${formatSize(largest.rssBytes)}${more}.`,
    width,
  );
}

/** The kernel and the machine on which memory ran out. */
function machineLines(of: Figures, width: number | null): string[] {
  if (of.release === null) return [];
  const text = (figure: Figure | undefined) => (figure == null ? [] : [escapeText(String(figure))]);
  const build = [...text(of.distribution), ...text(of.architecture)].join(', ');
  const parts = [
    `Linux ${text(of.release).join('')}${build && ` (${build})`}`,
    of.taint == null ? 'not tainted' : `tainted ${text(of.taint).join('')}`,
    ...text(of.hardware),
  ];
  return wrap(`${parts.join(', ')}.`, width);
}

/** Non-zero counters of the whole machine, largest first: some are part of another one. */
function countersOf(of: Figures): [name: string, bytes: number][] {
  return Object.entries(of)
    .flatMap(([name, bytes]): [string, number][] =>
      typeof bytes === 'number' && bytes !== 0 && COUNTER.test(name) ? [[name.replace('Bytes', ''), bytes]] : [],
    )
    .sort(([, a], [, b]) => b - a);
}
const COUNTER = /^(?!victim|tasks|largest|zone|requested|limit|usage|pageSize).*Bytes$/;

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
  'anon file shmem kernel slab kernel_stack pagetables percpu vmalloc sock zswap rss cache swap'.split(' '),
);

function memcgLine(path: string, counters: Readonly<Record<string, number>>, width: number | null): string[] {
  const parts = Object.entries(counters)
    .filter(([name, bytes]) => bytes > 0 && SIZES.has(name))
    .sort(([, a], [, b]) => b - a)
    .slice(0, COUNTERS);
  if (parts.length === 0) return [];
  const name = cgroupName(path);
  const shown = width === null ? name : cutMiddle(name, Math.max(20, width - 40));
  return [`Memory cgroup ${shown}: ${parts.map(([part, bytes]) => `${part} ${formatSize(bytes)}`).join(', ')}`];
}
