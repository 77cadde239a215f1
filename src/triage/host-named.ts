import { leaves } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import { grouped } from '../base/util.js';
import { readNamedMemory } from '../host/proc/named-memory.js';
import { mostMemory } from '../host/proc/possible-amounts.js';
import { optionalText } from '../host/proc/process.js';
import type { LogRecord } from '../records/log-records.js';
import type { MemoryCounters } from '../records/machine-sample.js';
import type { NamedKind, NamedMemory } from '../records/named-memory.js';
import { type Finding, found, severityOf } from './finding.js';
import type { HostReader } from './host-reader.js';
import { isLargePart, THRESHOLDS } from './thresholds.js';

export const NAMED_HIDES =
  'balloons, compressed memory, the cache of ZFS, removed cgroups, memory of GPUs and page pools';

/** Maximum number of devices of a kind that findings name, the largest first: each has a twentieth of memory at least. */
const MAX_EACH = 20;

/** Memory that sources beside /proc/meminfo name: balloons, compressed memory, caches, devices. @throws {HostError} */
export function* namedMemory(host: HostReader): Generator<Finding> {
  const { named: kinds, notRead = [] } = host.memory?.named ? host.memory : readNamedMemory(host.source, host.counts);
  const named = kinds ?? [];
  // The check of huge pages reads their pools itself, and no finding is about rings.
  for (const { kind, code, why } of notRead)
    if (
      kind !== 'huge-pages' &&
      kind !== 'nic-rings' &&
      (kind !== 'page-pools' || code !== 'gone' || isUnattributed(host))
    )
      host.miss('named-memory', NAMED_HIDES, new HostError('unreadable', why));
  const total = host.meminfo('MemTotal');
  for (const [kind, all] of grouped(named, (memory) => memory.kind))
    for (const memory of all.slice(0, MAX_EACH)) yield* FINDERS[kind]?.(memory, total, host) ?? [];
  yield* compressed(named, total);
  yield* detachedPools(named, total);
}

type Finder = (memory: NamedMemory, total: number, host: HostReader) => Iterable<Finding>;

const FINDERS: Readonly<Partial<Record<NamedKind, Finder>>> = {
  *balloon({ name, bytes, figures: { isInMemTotal = null } }, total, host) {
    const whole = isInMemTotal === 0 ? total + (bytes ?? 0) : total;
    yield* balloonOf({ bytes: bytes ?? 0, share: (bytes ?? 0) / whole, driver: name, isInMemTotal }, isShort(host));
  },
  *'zfs-arc'({ bytes, figures: { reclaimableBytes = null, minBytes = null } }, total) {
    const amount = { bytes: bytes ?? 0, share: (bytes ?? 0) / total };
    if (isLargePart('zfs-arc', amount.bytes, amount.share))
      yield found('zfs-arc', 'note', { ...amount, reclaimableBytes, minBytes }, 'memory');
  },
  *'dying-cgroups'({ name, figures: { dying = null, dyingInside = null, cgroups = null } }) {
    const { note, warning } = THRESHOLDS['dying-cgroups'];
    if ((dying ?? 0) < note) return;
    const severity = (dying ?? 0) >= warning ? 'warning' : 'note';
    yield found('dying-cgroups', severity, { dying, dyingInside, cgroup: name, cgroups }, 'memory');
  },
  *gpu({ name, bytes, figures: { mostBytes = null, deviceBytes = null }, processes = [] }, total) {
    const amount = { bytes: bytes ?? 0, share: (bytes ?? 0) / total };
    if (isLargePart('gpu-memory', amount.bytes, amount.share))
      yield found(
        'gpu-memory',
        'note',
        { ...amount, mostBytes, deviceBytes, device: name, ...openerOf(processes) },
        'memory',
      );
  },
  *'dma-buf'({ name, bytes, figures: { buffers = null, unopenedBytes = null }, processes = [] }, total) {
    const amount = { bytes: bytes ?? 0, share: (bytes ?? 0) / total };
    if (isLargePart('dma-buf', amount.bytes, amount.share))
      yield found(
        'dma-buf',
        'note',
        { ...amount, buffers, unopenedBytes, exporter: name, ...openerOf(processes) },
        'memory',
      );
  },
};

/** The process that has most of a device's buffers open. */
function openerOf([most]: NonNullable<NamedMemory['processes']>) {
  return { pid: most?.pid ?? null, comm: most?.comm ?? null, processBytes: most?.bytes ?? null };
}

/** Whether so much memory is in no counter that page pools may be the cause. */
function isUnattributed({ memory }: HostReader): boolean {
  const leaf = memory && leaves(memory.memory).find(({ category }) => category === 'unattributed');
  const bytes = leaf?.range?.leastBytes ?? leaf?.bytes ?? 0;
  return memory !== undefined && isLargePart('pipes', bytes, bytes / memory.memory.bytes);
}

/** Whether little memory is available: then a balloon is part of the problem. */
function isShort(host: HostReader): boolean {
  return host.meminfo('MemAvailable') < THRESHOLDS['low-available'].note * host.meminfo('MemTotal');
}

interface BalloonFigures {
  readonly bytes: number;
  readonly share: number;
  readonly driver: string;
  readonly isInMemTotal: number | null;
}

function* balloonOf(figures: BalloonFigures, short: boolean): Generator<Finding> {
  if (isLargePart('balloon', figures.bytes, figures.share))
    yield found('balloon', short ? 'warning' : 'note', figures, 'memory');
}

/** All compressed memory: of zram devices, and the pool of zswap. */
function* compressed(named: readonly NamedMemory[], total: number): Generator<Finding> {
  const all = named.filter(({ kind, name }) => kind === 'zram' || (kind === 'zswap' && !isCgroup(name)));
  const [most] = all.toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
  const bytes = all.reduce((sum, memory) => sum + (memory.bytes ?? 0), 0);
  if (!most || !isLargePart('compressed-memory', bytes, bytes / total)) return;
  const data = all.map(({ figures }) => figures.dataBytes ?? null);
  const dataBytes = data.includes(null) ? null : data.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0);
  const [cgroup] = named.filter(({ kind, name }) => kind === 'zswap' && isCgroup(name));
  const figures = {
    bytes,
    share: bytes / total,
    dataBytes,
    device: most.name,
    deviceBytes: most.bytes,
    cgroup: cgroup?.name ?? null,
    cgroupBytes: cgroup?.bytes ?? null,
  };
  yield found('compressed-memory', 'note', figures, 'memory');
}

/** Pools of all interfaces whose first was detached long enough ago; the one with most is named. */
function* detachedPools(named: readonly NamedMemory[], total: number): Generator<Finding> {
  const { note } = THRESHOLDS['page-pool-detached'];
  const all = named.filter(({ figures }) => (figures.detachedPages ?? 0) > 0 && (figures.detachedSeconds ?? 0) >= note);
  const [most] = all.toSorted((a, b) => (b.figures.detachedBytes ?? 0) - (a.figures.detachedBytes ?? 0));
  if (!most) return;
  const sum = (figure: string) => all.reduce((bytes, { figures }) => bytes + (figures[figure] ?? 0), 0);
  const bytes = sum('detachedBytes');
  const figures = {
    bytes,
    pages: sum('detachedPages'),
    pools: sum('detachedPools'),
    detachedSeconds: Math.max(...all.map((memory) => memory.figures.detachedSeconds ?? 0)),
    interface: most.name,
    interfaces: all.length,
  };
  yield found('page-pool-detached', severityOf(bytes, total) === undefined ? 'note' : 'warning', figures, 'memory');
}

const isCgroup = (name: string) => name.startsWith('/');

/** What the kernel had when it printed it: managed memory is all less what is reserved (mem_init_print_info). */
const AT_BOOT = /^Memory: \d{1,12}K\/(\d{1,12})K available \(.* (\d{1,12})K reserved(?:, (\d{1,12})K cma-reserved)?/;

/**
 * Memory that a balloon driver took out of MemTotal since boot, where no counter shows its size. Afterwards the kernel
 * only adds memory (freed init sections, deferred initialization): a lower bound.
 *
 * @param driver a balloon driver that is loaded
 */
export function loweredTotal(
  driver: string | undefined,
  records: readonly Pick<LogRecord, 'text'>[],
  meminfo: ReadonlyMap<string, number>,
): Finding[] {
  const total = meminfo.get('MemTotal');
  if (driver === undefined || total === undefined) return [];
  for (const { text } of records) {
    const [, all, reserved, cma = '0'] = AT_BOOT.exec(text) ?? [];
    if (all === undefined) continue;
    const before = (Number(all) - Number(reserved) - Number(cma)) * 1024;
    const bytes = before - total;
    const share = bytes / before;
    const short = (meminfo.get('MemAvailable') ?? total) < THRESHOLDS['low-available'].note * total;
    return [...balloonOf({ bytes, share, driver, isInMemTotal: 0 }, short)];
  }
  return [];
}

/** Counters of /proc/vmstat in base pages whose pages are part of RAM (vmstat_text of mm/vmstat.c). */
const PAGES =
  /^(nr_(?:free_pages|free_cma|(?:zone_)?(?:in)?active_(?:anon|file)|(?:zone_)?unevictable|mlock|bounce|zspages|isolated_(?:anon|file)|anon_pages|mapped|file_pages|dirty|writeback(?:_temp)?|shmem|slab_(?:un)?reclaimable|page_table_pages|sec_page_table_pages|swapcached|kernel_misc_reclaimable|iommu_pages|balloon_pages|gpu_(?:active|reclaim))) (-?\d{1,20})$/gm;

/** TCP's line of sockstat counts sockets and pages of all network namespaces (sockstat_seq_show of net/ipv4/proc.c). */
const TCP = /^TCP: inuse \d+ orphan \d+ tw \d+ alloc (\d{1,12}) mem (-?\d{1,12})$/m;
/** Pages that each CPU may keep for a protocol (SK_MEMORY_PCPU_RESERVE, since 6.0). Bytes. */
const ON_CPU = 1 << 20;
/** Isolated pages are in transit: more than the inactive list has is a leak (too_many_isolated of mm/vmscan.c). */
const MIN_ISOLATED = 64 * 2 ** 20;

/** Counters that are impossible, or that the objects they count contradict. @throws {HostError} */
export function* leakedCounters(host: HostReader): Generator<Finding> {
  const { counts } = host;
  const vmstat = optionalText(host.source, '/proc/vmstat');
  const pages = new Map(Array.from(vmstat.matchAll(PAGES), ([, name = '', digits]) => [name, Number(digits)]));
  const limit = mostMemory(counts);
  const of = (counter: string, bytes: number, most: number, why: string) =>
    found('counter-leak', 'warning', { counter, bytes, mostBytes: most, why });
  for (const [name, count] of pages) {
    const bytes = count * host.pageSize;
    if (bytes > limit || bytes < 0) yield of(name, bytes, limit, 'impossible');
  }
  for (const list of ['anon', 'file']) {
    const [isolated, inactive] = [`nr_isolated_${list}`, `nr_inactive_${list}`].map((name) => pages.get(name));
    const bytes = (isolated ?? 0) * host.pageSize;
    if (inactive !== undefined && bytes >= MIN_ISOLATED && bytes <= limit && (isolated ?? 0) > inactive)
      yield of(`nr_isolated_${list}`, bytes, inactive * host.pageSize, 'isolated');
  }
  // The kernel prints these only where they are counters of vmstat too; a text may have one of both.
  for (const name of ['GPUActive', 'GPUReclaim', 'Percpu', 'WritebackTmp']) {
    const bytes = counts.meminfo.get(name) ?? 0;
    const isKnown = pages.has(`nr_${name.toLowerCase().replace('gpu', 'gpu_')}`);
    if (bytes > limit && !isKnown) yield of(name, bytes, limit, 'impossible');
  }
  yield* leakedTcp(host, counts);
}

/** TCP memory without the sockets that could have it: the counter then throttles all sockets for no reason. */
function* leakedTcp(host: HostReader, { cpus }: MemoryCounters): Generator<Finding> {
  const [, alloc, mem] = TCP.exec(optionalText(host.source, '/proc/net/sockstat')) ?? [];
  if (alloc === undefined || cpus === 0) return;
  const bytes = Number(mem) * host.pageSize;
  const slack = 2 * cpus * ON_CPU;
  // With sockets, a forced buffer (SO_RCVBUFFORCE) may have any size.
  if (Number(alloc) === 0 && bytes > slack)
    yield found('counter-leak', 'warning', { counter: 'TCP mem', bytes, mostBytes: slack, why: 'no-sockets' });
}
