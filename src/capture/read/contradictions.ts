import { kilobytesOf } from '../../host/proc/memory.js';
import { IN_BOTH } from '../../records/meminfo-lines.js';
import { USER_HZ } from '../../records/processes.js';

/** A capture's data for one moment, for consistency checks. */
export interface MomentFiles {
  /** Returns a file of the machine or of a process; undefined: it was not captured. */
  readonly text: (path: string) => string | undefined;
  /** Pids with files, by list: states and memory of processes. */
  readonly states: ReadonlySet<string>;
  readonly memory: ReadonlySet<string>;
  /** Pids in the list of namespaces, which precedes both. */
  readonly namespaces: ReadonlySet<string>;
}

interface CaptureFiles {
  /** Null: the capture has a single moment. */
  readonly first: MomentFiles | null;
  readonly last: MomentFiles;
  /** Uptime in seconds at the start of the first moment; null: unknown. */
  readonly firstBegan: number | null;
  /** Whether the capture explains why files of a process are missing, or process lists are incomplete. */
  readonly isExcused: (pid: string) => boolean;
  /** Whether the capture records that a process exited before its state was read. */
  readonly isExited: (pid: string) => boolean;
  /** Bytes of a base page, if counters were read at the same time and can be compared; null otherwise. */
  readonly pageSize: number | null;
}

/** Lines of /proc/meminfo that are parts of MemTotal. */
const PARTS = [
  'MemFree',
  'MemAvailable',
  'Buffers',
  'Cached',
  'AnonPages',
  'Mapped',
  'Shmem',
  'Slab',
  'SReclaimable',
  'SUnreclaim',
  'KernelStack',
  'PageTables',
  'Percpu',
  'Unevictable',
];

/** Share of RAM that may change between reads of two files, and its minimum. */
const MOVED_SHARE = 1 / 100;
const MIN_MOVED_BYTES = 16 << 20;

/** smaps rounds each value down to KiB. */
const ROUNDING = 4096;

/** Maximum number of reports of one kind. */
const MAX_OF_KIND = 3;

/** Inconsistent facts in a capture, in words: one of each pair is wrong. */
export function contradictionsOf(files: CaptureFiles): string[] {
  const counts = new Map<string, number>();
  const words: string[] = [];
  const add = (kind: string, message: string): void => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    if (count <= MAX_OF_KIND) words.push(message);
  };
  const machine = machineOf(files.last, files.pageSize, add);
  for (const pid of files.last.states) processFacts(files.last, pid, machine, add);
  listFacts(files, add);
  for (const [kind, count] of counts) if (count > MAX_OF_KIND) words.push(`${count - MAX_OF_KIND} more of ${kind}`);
  return words;
}

type Add = (kind: string, message: string) => void;

interface Machine {
  readonly total: number | null;
  readonly swapTotal: number | null;
  readonly pageTables: number | null;
}

function machineOf({ text }: MomentFiles, pageSize: number | null, add: Add): Machine {
  const meminfo = `\n${text('/proc/meminfo') ?? ''}`;
  const of = (name: string) => kilobytesOf(meminfo, name);
  const [total, swapTotal, swapFree] = [of('MemTotal'), of('SwapTotal'), of('SwapFree')];
  for (const name of PARTS)
    if (total !== null && (of(name) ?? 0) > total) add('counters', `${name} in /proc/meminfo exceeds MemTotal`);
  if (swapTotal !== null && (swapFree ?? 0) > swapTotal) add('counters', 'SwapFree in /proc/meminfo exceeds SwapTotal');
  const areas = (text('/proc/swaps') ?? '').split('\n').slice(1);
  if (swapTotal === 0 && areas.some((line) => /\s[1-9]\d*\s+\d+\s+-?\d+\s*$/.test(line)))
    add('counters', '/proc/swaps lists swap areas, but SwapTotal is 0');
  if (pageSize !== null && total !== null) vmstatFacts(text, { of, total, pageSize }, add);
  return { total, swapTotal, pageTables: of('PageTables') };
}

interface Meminfo {
  /** Value of a line, in bytes. */
  readonly of: (name: string) => number | null;
  readonly total: number;
  readonly pageSize: number;
}

function vmstatFacts(text: MomentFiles['text'], { of, total, pageSize }: Meminfo, add: Add): void {
  const [vmstat, zoneinfo] = [text('/proc/vmstat') ?? '', text('/proc/zoneinfo') ?? ''];
  const pages = (name: string) => {
    const digits = new RegExp(`^${name} (\\d{1,13})$`, 'm').exec(vmstat)?.[1];
    return digits === undefined ? null : Number(digits) * pageSize;
  };
  const slack = Math.max(MOVED_SHARE * total, MIN_MOVED_BYTES);
  const managed = [...zoneinfo.matchAll(/^ +managed +(\d{1,13})$/gm)].reduce(
    (sum, [, count]) => sum + Number(count) * pageSize,
    0,
  );
  const [memFree, free] = [of('MemFree'), pages('nr_free_pages')];
  // Memory that is not initialized yet is only in MemTotal and MemFree.
  const late = managed > 0 ? total - managed : 0;
  if (memFree !== null && free !== null) {
    const beyond = memFree - free;
    if (Math.abs(beyond) > slack && Math.abs(beyond - late) > slack)
      add('counters', `MemFree is ${memFree} bytes, but nr_free_pages in /proc/vmstat is ${free}`);
  }
  const compare = (lines: readonly string[], name: string, seconds: readonly (number | null)[]) => {
    const values = lines.map(of);
    if (values.includes(null) || seconds.includes(null)) return;
    const sum = values.reduce<number>((all, value) => all + (value ?? 0), 0);
    if (seconds.some((second) => Math.abs(sum - (second ?? 0)) <= slack)) return;
    const verb = lines.length > 1 ? 'are' : 'is';
    add('counters', `${lines.join(' and ')} ${verb} ${sum} bytes, but ${name} in /proc/vmstat is ${seconds[0]}`);
  };
  for (const [line, name] of IN_BOTH) if (line !== 'MemFree') compare([line], name, [pages(name)]);
  for (const [name, lines] of SUMS) compare(lines, name, [pages(name)]);
  const [anonymous, huge] = [pages('nr_anon_pages'), pages('nr_anon_transparent_hugepages') ?? 0];
  // Huge pages are not in this counter before 4.8.
  compare(['AnonPages'], 'nr_anon_pages', [anonymous, anonymous && anonymous + PAGES_OF_HUGE * huge]);
}

/** Pages of a transparent huge page of 4 KiB pages. */
const PAGES_OF_HUGE = 512;

/** Counters of /proc/vmstat that are sums of lines (meminfo_proc_show, fs/proc/meminfo.c). */
const SUMS = [
  ['nr_file_pages', ['Cached', 'SwapCached', 'Buffers']],
  ['nr_swapcached', ['SwapCached']],
  ['nr_sec_page_table_pages', ['SecPageTables']],
  ['nr_balloon_pages', ['Balloon']],
] as const;

function processFacts({ text }: MomentFiles, pid: string, machine: Machine, add: Add): void {
  const { total, swapTotal, pageTables } = machine;
  const status = `\n${text(`/proc/${pid}/status`) ?? ''}`;
  const rollup = `\n${text(`/proc/${pid}/smaps_rollup`) ?? ''}`;
  const swaps = [kilobytesOf(status, 'VmSwap') ?? 0, firstValue(rollup, 'Swap') ?? 0];
  const swap = Math.max(...swaps);
  if (swapTotal !== null && swap > swapTotal)
    add('swap', `pid ${pid} has ${swap} bytes in swap, but SwapTotal is ${swapTotal}`);
  const tables = kilobytesOf(status, 'VmPTE') ?? 0;
  const limit = total === null ? null : Math.min(total, (pageTables ?? total) + MOVED_SHARE * total);
  if (limit !== null && tables > limit)
    add('page tables', `pid ${pid} has ${tables} bytes of page tables, but the machine only ${pageTables ?? total}`);
  if ([...rollup.matchAll(/\nRss:/g)].length > 1) {
    add('smaps_rollup', `duplicate smaps_rollup of pid ${pid}`);
    return;
  }
  const [rss, pss] = [firstValue(rollup, 'Rss'), firstValue(rollup, 'Pss')];
  if (rss === null || pss === null) return;
  if (pss > rss) add('PSS', `pid ${pid} has a PSS of ${pss} bytes, but an RSS of ${rss}`);
  const own = (firstValue(rollup, 'Private_Clean') ?? 0) + (firstValue(rollup, 'Private_Dirty') ?? 0);
  if (own > pss + ROUNDING) add('USS', `pid ${pid} has a USS of ${own} bytes, but a PSS of ${pss}`);
  if (total !== null && pss > total) add('PSS', `pid ${pid} has a PSS of ${pss} bytes, but MemTotal is ${total}`);
}

/** The first line with a name: sums would be wrong for a duplicated file. */
function firstValue(text: string, name: string): number | null {
  const at = text.indexOf(`\n${name}:`);
  return at < 0 ? null : kilobytesOf(text.slice(at, text.indexOf('\n', at + 1) + 1), name);
}

/**
 * Every process that ran throughout is in each list. One that is only in the list of states may have
 * exited before its memory was read: its sizes are then unknown, which is reported with them. One that
 * is only in that of memory may have started after the others were made.
 */
function listFacts(files: CaptureFiles, add: Add): void {
  const { first, last, firstBegan, isExcused, isExited } = files;
  const lists = 'process lists';
  for (const pid of last.memory)
    if (last.namespaces.has(pid) && !last.states.has(pid) && (isExited(pid) || !isExcused(pid)))
      add(lists, `pid ${pid} is in the memory list but not in the state list`);
  for (const pid of last.states) {
    if (isExcused(pid)) continue;
    const status = `\n${last.text(`/proc/${pid}/status`) ?? ''}`;
    const parent = /\nPPid:\s*(\d{1,10})\n/.exec(status)?.[1];
    if (parent !== undefined && parent !== '0' && first?.states.has(parent))
      if (!last.states.has(parent) && !isExcused(parent))
        add(lists, `pid ${parent}, the parent of pid ${pid}, is missing from the state list`);
    const began = startOf(last.text(`/proc/${pid}/stat`) ?? '');
    if (!first || first.states.has(pid) || firstBegan === null || began === null) continue;
    if (began < firstBegan - 1) add(lists, `pid ${pid} started before the first sample but is missing from it`);
  }
}

/** Start time in seconds after boot. */
function startOf(stat: string): number | null {
  const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return /^\d{1,15}$/.test(field) ? Number(field) / USER_HZ : null;
}
