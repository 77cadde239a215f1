/** A line of /proc/meminfo. */
interface MeminfoLine {
  readonly name: string;
  /** First mainline release that prints it; some vendors have it in older ones. Absent: every supported kernel prints it. */
  readonly since?: string;
  /** Every kernel since then prints it: without it the kernel is older, and has no later lines either. */
  readonly isAlways?: true;
  /** Kernels without further features end here. */
  readonly isEnd?: true;
  /** The same counter in /proc/vmstat, in base pages; only where an answer uses the line. */
  readonly vmstat?: string;
}

/** Of every supported kernel, if it is configured. */
const ANY = '2.6';

/** Stands for the end of a whole text: lines that are not in it are not printed by the kernel. */
export const WHOLE = '(end)';

/**
 * Lines of /proc/meminfo that answers use, in the order of meminfo_proc_show (fs/proc/meminfo.c), and others that show
 * how far a text reaches. Decisions rest on the lines that a text contains. Releases are only words in reasons.
 *
 * - VmallocUsed: before 4.4 address space, mapped devices included (VmallocChunk is then above 0); 0 from 4.4 to 5.2
 *   (a5ad88ce8c7f); pages with thread stacks since 5.3 (97105f0ab7b8).
 * - Cached includes Shmem. AnonPages includes mapped pages of SwapCached.
 * - Hugetlb has pools of all sizes; before, HugePages_Total has the pool of the default size.
 */
const LINES: readonly MeminfoLine[] = [
  { name: 'MemTotal' },
  { name: 'MemFree', vmstat: 'nr_free_pages' },
  { name: 'MemAvailable', since: '3.14', isAlways: true },
  { name: 'Buffers' },
  { name: 'Cached' },
  { name: 'SwapCached' },
  { name: 'SwapTotal' },
  { name: 'SwapFree' },
  { name: 'Zswap', since: '5.19' },
  { name: 'Dirty' },
  { name: 'AnonPages' },
  { name: 'Mapped' },
  { name: 'Shmem', vmstat: 'nr_shmem' },
  { name: 'KReclaimable', since: '4.20', isAlways: true },
  { name: 'Slab' },
  { name: 'SReclaimable', vmstat: 'nr_slab_reclaimable' },
  { name: 'SUnreclaim', vmstat: 'nr_slab_unreclaimable' },
  { name: 'KernelStack' },
  { name: 'PageTables', vmstat: 'nr_page_table_pages' },
  { name: 'SecPageTables', since: '6.1', isAlways: true },
  { name: 'NFS_Unstable', since: ANY },
  { name: 'Bounce', since: ANY },
  { name: 'CommitLimit' },
  { name: 'VmallocTotal' },
  { name: 'VmallocUsed' },
  { name: 'VmallocChunk', isEnd: true },
  { name: 'Percpu', since: '4.19', isEnd: true },
  { name: 'HardwareCorrupted', since: ANY, isEnd: true },
  { name: 'AnonHugePages', since: '2.6.38', isEnd: true },
  { name: 'ShmemPmdMapped', since: '4.8', isEnd: true },
  { name: 'FilePmdMapped', since: '5.4', isEnd: true },
  { name: 'CmaTotal', since: '3.19' },
  { name: 'CmaFree', since: '3.19', isEnd: true },
  { name: 'Unaccepted', since: '6.5', isEnd: true },
  { name: 'Balloon', since: '6.16', isEnd: true },
  { name: 'GPUActive', since: '7.1' },
  { name: 'GPUReclaim', since: '7.1', isEnd: true },
  { name: 'HugePages_Total', since: ANY },
  { name: 'Hugepagesize', since: ANY, isEnd: true },
  { name: 'Hugetlb', since: '4.16' },
  { name: 'DirectMap4k', since: ANY },
  { name: 'DirectMap2M', since: ANY },
  { name: WHOLE },
];

const PLACES = new Map(LINES.map((line, index) => [line.name, { ...line, index }]));

/** Counters that are in both /proc/meminfo and, in base pages, /proc/vmstat. */
export const IN_BOTH: readonly (readonly [meminfo: string, vmstat: string])[] = LINES.flatMap(({ name, vmstat }) =>
  vmstat === undefined ? [] : [[name, vmstat] as const],
);

/** Why a line is not in a text. */
export interface LackingLine {
  /**
   * `uncounted`: the kernel has no such line; `unsure`: the text may end here, or be cut; `missing`: it is incomplete
   * there.
   */
  readonly state: 'uncounted' | 'unsure' | 'missing';
  readonly why: string;
}

/** @param printed names of all lines of the text, in its order */
export function lackingLine(name: string, printed: ReadonlySet<string>): LackingLine {
  // Before 4.16 its size follows from these.
  if (name === 'Hugetlb')
    return lackingLine(printed.has('HugePages_Total') ? 'Hugepagesize' : 'HugePages_Total', printed);
  const { since, index } = PLACES.get(name) ?? { since: undefined, index: 0 };
  const isPassed = (at: number) => LINES.slice(at + 1).some((other) => printed.has(other.name));
  if (since === undefined) return { state: 'missing', why: `/proc/meminfo lacks the line ${name}` };
  const why = `not counted by this kernel: ${name}${since === ANY ? '' : ` exists since Linux ${since}`}`;
  const isOlder = LINES.some(
    (other, at) => other.isAlways && !printed.has(other.name) && !isBefore(since, other.since) && isPassed(at),
  );
  if (isPassed(index) || isOlder) return { state: 'uncounted', why };
  const last = PLACES.get([...printed].at(-1) ?? '');
  return last?.isEnd ? { state: 'unsure', why } : { state: 'missing', why: `/proc/meminfo lacks the line ${name}` };
}

/** Compares releases of mainline kernels: words of this table, not of a machine. */
function isBefore(release: string, other = '0'): boolean {
  const [[a = 0, b = 0] = [], [c = 0, d = 0] = []] = [release, other].map((version) => version.split('.').map(Number));
  return a < c || (a === c && b < d);
}

/** Meaning of VmallocUsed; undefined: pages. */
export function lackingVmalloc(
  meminfo: ReadonlyMap<string, number>,
  printed: ReadonlySet<string>,
): LackingLine | undefined {
  const [used, chunk] = [meminfo.get('VmallocUsed'), meminfo.get('VmallocChunk')];
  if (used === undefined) return lackingLine('VmallocUsed', printed);
  if (used === 0) return { state: 'uncounted', why: 'not counted by this kernel: VmallocUsed counts since Linux 5.3' };
  if (chunk === undefined) return lackingLine('VmallocChunk', printed);
  if (chunk === 0) return undefined;
  const why = 'not counted by this kernel: VmallocUsed is address space before Linux 4.4, mapped devices included';
  return { state: 'uncounted', why };
}
