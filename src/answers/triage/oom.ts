import type { Figure, Finding } from '../../triage/finding.js';
import { cutMiddle, wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import type { ListedTask, OomReport, SiteShown, SlabShown, TaskGroup, TaskMemory, ZoneShown } from './report-schema.js';

const text = (figure: Figure | undefined): string => (figure == null ? '?' : escapeText(String(figure)));
const figureSize = (figure: Figure | undefined): string =>
  typeof figure === 'number' ? formatSize(figure) : text(figure);

/** A part of memory as people read it. */
const share = (bytes: number, ram: number): string => `${Math.round((100 * bytes) / ram)} %`;

/** The sentences of a report of the OOM killer; a figure that an older report lacks has none. */
export function oomWords(of: Figures): readonly [headline: string, ...details: string[]] {
  return [verdict(of), ...kill(of), ...cause(of), ...shortage(of), ...rest(of)];
}

/** Drawn from all lines of the report: a kernel that panics first has no victim. */
function verdict(of: Figures): string {
  const killer = of.invokedBy == null ? 'OOM killer' : `OOM killer invoked by ${text(of.invokedBy)}`;
  const victim = `pid ${text(of.pid)} (${text(of.comm)})`;
  switch (of.outcome) {
    case 'panic':
      return `${killer}: the kernel panicked instead of killing a process (${text(of.panicOnOom)} vm.panic_on_oom).`;
    case 'no-killable-process':
      return `${killer} found no process that it may kill.`;
    case 'exiting':
      return `${killer} chose ${victim}, which was already exiting.`;
    case 'chosen':
      return `${killer} chose ${victim}; the log does not contain the kill.`;
    case 'unknown':
      return `${killer}; the log does not name the victim.`;
    default:
      return `OOM killer killed ${victim}, which had ${figureSize(of.victimAnonBytes)} of anonymous memory${
        typeof of.victimRssBytes === 'number' && typeof of.managedBytes === 'number'
          ? ` (RSS ${formatSize(of.victimRssBytes)}, ${share(of.victimRssBytes, of.managedBytes)} of MemTotal)`
          : ''
      }${
        typeof of.victimSwapBytes === 'number' && of.victimSwapBytes > 0
          ? ` and ${figureSize(of.victimSwapBytes)} in swap`
          : ''
      }.`;
  }
}

function kill(of: Figures): string[] {
  const others = typeof of.victims === 'number' ? of.victims - 1 : 0;
  return [
    ...(others > 0 ? [`${others} more ${others === 1 ? 'process was' : 'processes were'} killed with it.`] : []),
    ...(of.chosenPid != null && of.chosenPid !== of.pid
      ? [`It was killed in place of its parent, pid ${text(of.chosenPid)} (${text(of.chosenComm)}).`]
      : []),
    ...(of.outcome === 'killed' && of.invokedBy != null ? [`Invoked by ${text(of.invokedBy)}.`] : []),
    ...(of.scope === 'machine' && of.victimCgroup != null && of.victimCgroup !== '/'
      ? [`The victim’s memory cgroup was ${text(of.victimCgroup)}.`]
      : []),
    ...(of.reaper === 'failed' ? ['The OOM reaper could not free its memory.'] : []),
  ];
}

function cause(of: Figures): string[] {
  if (of.scope === 'cgroup')
    return of.cgroup == null
      ? ['Its memory cgroup was at its limit.']
      : [`Memory cgroup ${text(of.cgroup)} was at its limit of ${figureSize(of.limitBytes)}.`];
  const nodes = { cpuset: of.memsAllowed, mempolicy: of.nodemask }[String(of.reason)];
  if (of.reason === 'page-fault')
    return [
      'A page fault was refused by the limit of a cgroup or by a driver (pagefault_out_of_memory): the machine need not have been short of memory.',
    ];
  if (of.reason === 'sysrq') return ['The kill was requested by hand (SysRq-f): memory need not have been short.'];
  if (nodes !== undefined) return [`The memory nodes of its ${text(of.reason)} (${text(nodes)}) were out of memory.`];
  return of.scope === 'machine' ? ['The whole machine was out of memory.'] : [];
}

function shortage(of: Figures): string[] {
  const zone = `zone ${text(of.zone)} of node ${text(of.node)}`;
  if (of.shortage === 'fragmentation')
    return [
      `Memory was fragmented: ${zone} had ${figureSize(of.zoneFreeBytes)} free, but no block of order ${text(of.order)} was usable.`,
    ];
  if (of.shortage === 'watermark')
    return [
      `At that time ${zone} had ${figureSize(of.zoneFreeBytes)} free (watermarks: min ${figureSize(of.zoneMinBytes)}, high ${figureSize(of.zoneHighBytes)}).`,
      ...(typeof of.zoneCmaFreeBytes === 'number' && of.zoneCmaFreeBytes > 0
        ? [`Of that, ${formatSize(of.zoneCmaFreeBytes)} is CMA, which only movable memory may use.`]
        : []),
    ];
  return [];
}

function rest(of: Figures): string[] {
  const { unattributedBytes: hidden, managedBytes: managed, swapTotalBytes: swap } = of;
  return [
    ...(of.largestPid != null && of.largestPid !== of.pid
      ? [
          `The largest process was pid ${text(of.largestPid)} (${text(of.largestComm)}), ${figureSize(of.largestRssBytes)}.`,
        ]
      : []),
    ...(typeof swap === 'number' && swap > 0
      ? [`Free swap: ${figureSize(of.swapFreeBytes)} of ${figureSize(swap)}.`]
      : []),
    ...(typeof hidden === 'number' && typeof managed === 'number' && hidden > managed / 10
      ? [
          `${figureSize(hidden)} was in no counter of the report, which does not count socket buffers and driver pages; no RSS includes them either.`,
        ]
      : []),
  ];
}

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
  table<TaskGroup>(
    [
      { heading: 'COUNT', align: 'right', value: ({ tasks }) => String(tasks) },
      ...MEMORY,
      named('NAME', ({ name }) => name || '(other names)'),
    ],
    oom.byName,
  );
  if (oom.byName.length > 0)
    lines.push(...wrap('RSS here is the kernel’s counter, which may lag by some pages per CPU.', width));
  lines.push(...survivorLines(oom, figures, width));
  for (const { path, counters } of oom.memcgs.slice(0, verbose ? MANY : 1))
    lines.push(...memcgLine(path, counters, width));
  if (!verbose) return lines;
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

type Figures = Readonly<Record<string, Figure>>;

/** Processes with the name of the victim that were not killed with it; none if some victims are unknown. */
function survivorLines(
  { tasks, victims }: Pick<OomReport, 'tasks' | 'victims'>,
  { outcome, victims: killed, comm }: Figures,
  width: number | null,
): string[] {
  if (outcome !== 'killed' || killed !== victims.length) return [];
  const dead = new Set(victims.map(({ pid }) => pid));
  const others = tasks.filter(({ name, pid }) => name === comm && !dead.has(pid));
  const [largest] = others.toSorted((a, b) => b.rssBytes - a.rssBytes);
  if (largest === undefined) return [];
  const more = others.length > 1 ? ` and ${others.length - 1} more` : '';
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
  const name = escapeText(path);
  const shown = width === null ? name : cutMiddle(name, Math.max(20, width - 40));
  return [`Memory cgroup ${shown}: ${parts.map(([part, bytes]) => `${part} ${formatSize(bytes)}`).join(', ')}`];
}
