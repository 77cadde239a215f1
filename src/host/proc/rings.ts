import { HostError, hostOrNull, isHostError } from '../../base/errors.js';
import { inflect } from '../../base/size.js';
import type { NamedMemory, NotRead } from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { descriptors } from './descriptor-tables.js';
import { listedPids, optionalText } from './process.js';

const TRACING = '/sys/kernel/tracing';
const MAX_INSTANCES = 256;
/** Maximum number of processes that one kind lists. */
const MAX_LISTED = 10;

/**
 * Buffers of ftrace: of the machine, and of each instance. `buffer_total_size_kb` sums up all CPUs; `(expanded: KIB)` follows
 * where nothing was traced yet (tracing_total_entries_read, kernel/trace/trace.c). Rings of io_uring, and snapshot buffers,
 * have no such file.
 *
 * @throws {HostError} a file is unreadable or malformed
 */
export function readTraceRings(source: HostSource): NamedMemory[] {
  const instances = hostOrNull(() => source.list(`${TRACING}/instances`)) ?? [];
  const folders = ['', ...instances.slice(0, MAX_INSTANCES).map((name) => `/instances/${name}`)];
  const all = folders.flatMap((folder): NamedMemory[] => {
    const path = `${TRACING}${folder}/buffer_total_size_kb`;
    const kib = /^(\d{1,12})(?: \(expanded: \d{1,12}\))?\s*$/.exec(readOr(source, path))?.[1];
    if (kib === undefined) return [];
    const name = folder === '' ? 'ftrace' : `ftrace instance ${folder.slice('/instances/'.length)}`;
    const bytes = Number(kib) * 1024;
    return [{ kind: 'trace-rings', name, category: 'rings', bytes, source: path, figures: {} }];
  });
  return all.filter(({ bytes }) => (bytes ?? 0) > 0).toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
}

/** The text; empty: tracefs is not mounted, or the instance was removed. @throws {HostError} */
function readOr(source: HostSource, path: string): string {
  try {
    const text = source.readText(path);
    if (/^\d/.test(text)) return text;
    throw new HostError('unreadable', `malformed ${path}`);
  } catch (error) {
    if (error instanceof HostError && error.code === 'gone') return '';
    throw error;
  }
}

/** The link of a descriptor of a perf event, and the name of its mappings. */
export const PERF_LINK = 'anon_inode:[perf_event]';

/** Lines of /proc/PID/maps of rings of perf and io_uring: a snapshot has these only. */
export const PERF_LINES = '[0-9a-f]+-[0-9a-f]+ [^ ]+ [^ ]+ [^ ]+ [0-9]+ +anon_inode:\\[(perf_event|io_uring)\\]$';

const RING_MAPPING =
  /^([\da-f]{1,16})-([\da-f]{1,16}) \S{4} [\da-f]{1,16} \S{3,17} \d{1,20} +anon_inode:\[(perf_event|io_uring)\]$/gm;
/** Time limit in milliseconds for mappings. */
const MAX_MS = 1000;

/** Sizes of mappings of perf's rings in bytes, and whether a ring of io_uring is mapped; by process. */
type PerfMappings = Map<number, { readonly sizes: readonly number[]; readonly hasUring: boolean }>;

/** Name of the driver of RDMA in /proc/devices (ib_uverbs): the sizes of its regions are known, those of its queues' buffers are not. */
export const RDMA_DRIVER = 'infiniband_verbs';

/**
 * Drivers on this host whose pins are in VmPin of processes, and in no file: ib_umem_get of drivers/infiniband/core/umem.c,
 * hw/hfi1 and hw/qib, drivers/vhost/vdpa.c, vdpa_user/vduse_dev.c, drivers/iommu/iommufd/pages.c. A process may have such pins
 * without a descriptor of the driver, since another one may keep it open. Null: not read.
 */
export function pinningDrivers(source: HostSource): readonly string[] | null {
  const texts = ['/proc/devices', '/proc/misc'].map((path) => hostOrNull(() => source.readText(path)));
  const isWhole = /^ *1 mem$/m.test(texts[0] ?? '') && /^Block devices:$/m.test(texts[0] ?? '');
  if (!(isWhole && /^ *\d+ \w/m.test(texts[1] ?? ''))) return null;
  const names = texts.flatMap((text) => [...(text ?? '').matchAll(/^ *\d{1,3} (\S+)$/gm)].map(([, name = '']) => name));
  return names.filter((name) => name === RDMA_DRIVER || /^(hfi1|ib_qib|vhost-vdpa|vduse|iommu)$/.test(name));
}

/** What the kernel adds to VmPin of a process for other kinds: an upper bound in bytes, infinite where it is unknown. */
export interface OtherPins {
  of(pid: number): number;
  /** Whether rings of io_uring are known; one may be mapped that no descriptor has any more. */
  hasUring(pid: number): boolean;
}

/**
 * Rings of perf, which only mappings of the processes that have an event open show (perf_mmap, kernel/events/core.c: a
 * child of fork inherits none). No counter of the kernel contains their pages. A mapping outlives its descriptor: without
 * one it is not found.
 *
 * Several mappings may be those of one ring. Two facts bound this: rings of one size may be the same, those of several are
 * not; and VmPin counts each ring once, apart from perf_event_mlock_kb for each user and CPU. It counts pins of other kinds
 * too: only what exceeds these raises the lower bound.
 *
 * @param pids processes with an event
 */
export async function readPerfRings(
  source: HostSource,
  pids: ReadonlySet<number>,
  others: OtherPins,
  notRead: NotRead[],
): Promise<NamedMemory[]> {
  const until = source.now() + MAX_MS;
  const all: PerfMappings = new Map();
  let unread = 0;
  for (const pid of pids)
    try {
      if (source.now() > until) unread++;
      else all.set(pid, perfMappings(await source.readSlowText(`/proc/${pid}/maps`)));
    } catch (error) {
      if (!isHostError(error)) throw error;
      if (error.code !== 'gone') unread++;
    }
  if (unread > 0) notRead.push(unreadMappings(unread));
  return perfRings(source, all, others);
}

/** The same of a capture, which has only these lines of mappings. */
export function capturedPerfRings(source: HostSource, others: OtherPins, notRead: NotRead[]): NamedMemory[] {
  const all: PerfMappings = new Map();
  let unread = 0;
  for (const pid of listedPids(source))
    try {
      all.set(Number(pid), perfMappings(source.readText(`/proc/${pid}/maps`)));
    } catch (error) {
      if (!isHostError(error)) throw error;
      // Mappings of other processes are read for shared memory, and may fail too.
      if (error.code !== 'gone' && mayHavePerf(source, pid)) unread++;
    }
  if (unread > 0) notRead.push(unreadMappings(unread));
  return perfRings(source, all, others);
}

/** Whether a process of a capture has a perf event, or its descriptors were not read. */
function mayHavePerf(source: HostSource, pid: string): boolean {
  try {
    return [...descriptors(source, `/proc/${pid}/fd`)].some(({ link }) => link === PERF_LINK || link === 'denied');
  } catch (error) {
    if (!isHostError(error)) throw error;
    return error.code !== 'gone';
  }
}

const unreadMappings = (processes: number): NotRead => ({
  kind: 'trace-rings',
  code: 'unreadable',
  why: `mappings of ${processes} ${inflect(processes, 'process', 'processes')}`,
});

function perfRings(source: HostSource, all: PerfMappings, others: OtherPins): NamedMemory[] {
  const sizes = [...all.values()].flatMap((process) => process.sizes);
  const mappedBytes = sumOf(sizes);
  if (mappedBytes === 0) return [];
  const pinned = new Map(
    [...all].map(([pid, own]) => {
      const isKnown = !own.hasUring || others.hasUring(pid);
      const left = isKnown ? (pinnedBytes(source, pid) ?? 0) - others.of(pid) : 0;
      return [pid, Math.min(sumOf(own.sizes), Math.max(0, left))];
    }),
  );
  const bytes = Math.max(sumOf([...pinned.values()]), distinct(sizes));
  const processes = [...all]
    .map(([pid, own]) => ({ pid, bytes: Math.max(pinned.get(pid) ?? 0, distinct(own.sizes)) }))
    .filter((process) => process.bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes)
    .slice(0, MAX_LISTED)
    .map((process) => ({ ...process, comm: optionalText(source, `/proc/${process.pid}/comm`).trimEnd() || null }));
  const figures = { mappings: sizes.length, mappedBytes, pinnedBytes: sumOf([...pinned.values()]) };
  return [
    { kind: 'trace-rings', name: 'perf', category: 'rings', bytes, source: '/proc/PID/maps', figures, processes },
  ];
}

const sumOf = (some: readonly number[]): number => some.reduce((sum, bytes) => sum + bytes, 0);
const distinct = (sizes: readonly number[]): number => sumOf([...new Set(sizes)]);

function perfMappings(text: string) {
  const sizes: number[] = [];
  let hasUring = false;
  for (const [, from = '', to = '', kind] of text.matchAll(RING_MAPPING)) {
    const bytes = Number.parseInt(to, 16) - Number.parseInt(from, 16);
    if (kind === 'io_uring') hasUring = true;
    else if (bytes > 0) sizes.push(bytes);
  }
  return { sizes, hasUring };
}

/** Reads VmPin of a process (since 3.2), in bytes; null: not read. */
export function pinnedBytes(source: HostSource, pid: number): number | null {
  const kib = /^VmPin:\s+(\d{1,13}) kB$/m.exec(optionalText(source, `/proc/${pid}/status`))?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}
