import { ExhaustedError, HostError, hostOrNull, isHostError } from '../../base/errors.js';
import { formatSize } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { MemoryCounters } from '../../records/machine-sample.js';
import {
  BALLOON_DRIVERS,
  type NamedKind,
  type NamedMemory,
  type NodeHugePages,
  type NotRead,
  type ZfsCache,
} from '../../records/named-memory.js';
import type { HostSource } from '../host-source.js';
import { balloonModule } from './balloon.js';
import { dyingCgroups, zswapByCgroup } from './cgroup-counters.js';
import { readGraphics } from './graphics.js';
import { readInterfaces } from './interfaces.js';
import { readUptime } from './machine-sample.js';
import { mostMemory, possibleOf, whyImpossible } from './possible-amounts.js';
import { listedPids, optionalText } from './process.js';
import { type Region, rdmaRows } from './rdma-regions.js';
import {
  capturedPerfRings,
  type OtherPins,
  pinnedBytes,
  pinningDrivers,
  RDMA_DRIVER,
  readTraceRings,
} from './rings.js';
import { UringBuffers } from './uring-buffers.js';

/** A device or pool with less is not listed, except for what `diff` compares. Bytes. */
const MIN_BYTES = 16 * 2 ** 20;
/** Maximum number of processes and of cgroups that one kind lists, the largest first. Devices are summed: all count. */
const MAX_LISTED = 10;
const MAX_PROCESSES = 50_000;
const MAX_NODES = 1024;

const POOLS = '/sys/kernel/mm/hugepages';
const NODES = '/sys/devices/system/node';
const KSTAT = '/proc/spl/kstat/zfs';

/** Memory that sources beside /proc/meminfo name, and sources that were not read although the host uses them. */
export interface NamedSources {
  readonly named: readonly NamedMemory[];
  readonly notRead: NotRead[];
  /** Processes with a perf event: `readPerfRings` reads their mappings, unless this is a capture. */
  readonly perf: ReadonlySet<number>;
  readonly otherPins: OtherPins;
}

/** The lines of /proc/meminfo that decide which sources are read: each costs something. */
export type NamedFacts = Pick<MemoryCounters, 'meminfo' | 'balloon' | 'zfs' | 'unreadCounters'> &
  Partial<Pick<MemoryCounters, 'compressed' | 'present'>>;

/** Reads what is in use only: an unused pool, module or device has no files, or zeros. */
export function readNamedMemory(source: HostSource, facts: NamedFacts): NamedSources {
  const notRead: NotRead[] = [...(facts.unreadCounters ?? [])];
  const [perf, uring] = [new Set<number>(), new UringBuffers()];
  const attempt = (kind: NamedKind, read: () => readonly NamedMemory[]): readonly NamedMemory[] => {
    try {
      return possibleRows(read(), facts, notRead);
    } catch (error) {
      // The answer to the rest needs no further descriptor or process.
      if (!(isHostError(error) || error instanceof ExhaustedError)) throw error;
      notRead.push({ kind, code: isHostError(error) ? error.code : 'unreadable', why: error.message });
      return [];
    }
  };
  const devices = attempt('dma-buf', () => readGraphics(source, facts.meminfo, notRead, { perf, uring }, MIN_BYTES));
  let regions: readonly Region[] = [];
  const interfaces = attempt('page-pools', () => {
    const interfaces = readInterfaces(source, readUptime(source), notRead);
    regions = interfaces.regions;
    return interfaces.rows;
  });
  const zram = attempt('zram', () => zramDevices(source));
  const ofZram = zram.reduce((sum, memory) => sum + (memory.bytes ?? 0), 0);
  // The pages of zram are in that counter. Both change while memory is swapped.
  if (facts.compressed !== undefined && ofZram - facts.compressed > Math.max(4 * MIN_BYTES, ofZram / 5))
    notRead.push({
      kind: 'zram',
      code: 'unreadable',
      why: `devices have ${formatSize(ofZram)}, but nr_zspages of /proc/vmstat is ${formatSize(facts.compressed)}`,
    });
  const pinning = pinningDrivers(source);
  const otherPins: OtherPins = {
    of: (pid) => (pinning?.length === 0 ? uring.mostOf(pid) : Number.POSITIVE_INFINITY),
    hasUring: (pid) => uring.has(pid),
  };
  const named = [
    ...attempt('huge-pages', () => hugePagePools(source, facts)),
    ...attempt('balloon', () => balloon(source, facts, notRead)),
    ...zram,
    ...attempt('zswap', () => zswap(source, facts, ofZram, notRead)),
    ...attempt('zfs-arc', () => zfsCache(facts)),
    ...attempt('dying-cgroups', () => dyingCgroups(source)),
    ...devices,
    ...attempt('trace-rings', () => readTraceRings(source)),
    ...attempt('trace-rings', () => (source.file ? [] : capturedPerfRings(source, otherPins, notRead))),
    ...attempt('pinned', () =>
      rdmaRows(source, regions, (pid) =>
        pinning?.every((name) => name === RDMA_DRIVER) ? pinnedByRegions(source, pid, perf, uring) : 0,
      ),
    ),
    ...interfaces,
  ];
  return { named, notRead, perf, otherPins };
}

/** The rows that this machine can have: another one is not read. */
export function possibleRows(all: readonly NamedMemory[], facts: NamedFacts, notRead: NotRead[]): NamedMemory[] {
  const most = mostMemory(facts);
  const whyNot = (memory: NamedMemory) => whyImpossible(`${memory.source} (${memory.name})`, ownBytes(memory), most);
  return [...grouped(all, ({ kind }) => kind)].flatMap(([kind, rows]) =>
    possibleOf(rows, whyNot, (why) => notRead.push({ kind, code: 'unreadable', why })),
  );
}

/** Memory of the machine that a row has at least, as far as it is bounded by what the machine has. */
function ownBytes({ kind, name, category, bytes, figures }: NamedMemory): number {
  // A balloon is compared with what zones have beside MemTotal. Drivers export memory of devices too.
  if (kind === 'balloon' || (kind === 'dma-buf' && category === null && name !== 'udmabuf')) return 0;
  // Before 6.4, the limit of maps that allocate on use.
  return (bytes ?? 0) - (figures.lazyBytes ?? 0);
}

/** VmPin of a process less buffers of io_uring, in bytes; 0 also where it may contain rings of perf. */
function pinnedByRegions(source: HostSource, pid: number, perf: ReadonlySet<number>, uring: UringBuffers): number {
  const hasPerf = source.file ? perf.has(pid) : optionalText(source, `/proc/${pid}/maps`) !== '';
  return hasPerf ? 0 : Math.max(0, (pinnedBytes(source, pid) ?? 0) - uring.mostOf(pid));
}

/** A pool of huge pages of one size. */
export interface HugePagePool {
  readonly pageBytes: number;
  readonly pages: number;
  readonly free: number;
  /** Promised to a mapping that has not touched them: part of `free`. */
  readonly reserved: number;
  /** Allocated beyond nr_hugepages, freed when they are unused; null: not read. */
  readonly surplus: number | null;
}

/**
 * Pools of all sizes (mm/hugetlb.c); empty: the kernel lacks CONFIG_HUGETLBFS.
 *
 * @throws {HostError} a pool is unreadable, malformed or contradicts itself
 */
export function readHugePagePools(source: HostSource): readonly HugePagePool[] {
  return source.list(POOLS).flatMap((size): HugePagePool[] => {
    const pageBytes = poolSize(size);
    if (pageBytes === undefined) return [];
    const figure = (name: string) => numberIn(source, `${POOLS}/${size}/${name}`);
    const read = () => ({
      pages: figure('nr_hugepages'),
      free: figure('free_hugepages'),
      reserved: figure('resv_hugepages'),
      surplus: hostOrNull(() => figure('surplus_hugepages')),
    });
    // Pages for a reservation are in the pool before it is (gather_surplus_pages).
    const isSound = ({ pages, free, reserved, surplus }: ReturnType<typeof read>) =>
      free <= pages && reserved <= free && (surplus ?? 0) <= pages;
    // A pool in use changes between two of these files.
    const first = read();
    const pool = isSound(first) ? first : read();
    if (!isSound(pool))
      throw new HostError(
        'unreadable',
        `${POOLS}/${size} contradicts itself: ${pool.free} of ${pool.pages} pages are free, ${pool.reserved} of these reserved`,
      );
    return [{ pageBytes, ...pool }];
  });
}

function poolSize(name: string): number | undefined {
  const [, kib] = /^hugepages-(\d{1,12})kB$/.exec(name) ?? [];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

function hugePagePools(source: HostSource, { meminfo }: NamedFacts): NamedMemory[] {
  const counted = meminfo.get('Hugetlb') ?? 0;
  if (counted === 0) return [];
  const pools = readHugePagePools(source).filter(({ pages }) => pages > 0);
  const sum = pools.reduce((all, { pages, pageBytes }) => all + pages * pageBytes, 0);
  // Read one after the other: a pool may grow in between.
  if (Math.abs(sum - counted) > Math.max(MIN_BYTES, counted / 50))
    throw new HostError('unreadable', `Hugetlb of /proc/meminfo is ${counted} bytes, but ${POOLS} has ${sum}`);
  const isUsed = pools.some(({ pages, free }) => pages > free);
  const mapped = isUsed ? hugePageProcesses(source) : undefined;
  return pools.map((pool): NamedMemory => {
    const { pageBytes, pages, free, reserved, surplus } = pool;
    const nodes = nodesOf(source, pool);
    return {
      kind: 'huge-pages',
      name: formatSize(pageBytes),
      category: 'hugetlb',
      bytes: pages * pageBytes,
      source: POOLS,
      figures: { pageBytes, pages, free, reserved, surplus },
      ...(nodes === undefined ? {} : { nodes }),
      // Processes do not report the size of the pages that they map.
      ...(mapped === undefined || pools.length > 1 ? {} : { processes: mapped }),
    };
  });
}

/** The pool on each NUMA node; undefined: not read, or they do not sum to the pool. */
function nodesOf(source: HostSource, { pageBytes, pages }: HugePagePool): readonly NodeHugePages[] | undefined {
  return (
    hostOrNull(() => {
      const names = source.list(NODES).filter((name) => /^node\d{1,6}$/.test(name));
      const nodes = names.slice(0, MAX_NODES).map((name) => {
        const figure = (of: string) =>
          numberIn(source, `${NODES}/${name}/hugepages/hugepages-${pageBytes / 1024}kB/${of}_hugepages`);
        return { node: Number(name.slice(4)), pages: figure('nr'), free: figure('free'), surplus: figure('surplus') };
      });
      const isWhole = nodes.reduce((sum, node) => sum + node.pages, 0) === pages;
      return isWhole ? nodes.toSorted((a, b) => a.node - b.node) : null;
    }) ?? undefined
  );
}

/** Processes that map huge pages, by HugetlbPages of /proc/PID/status (since 4.4), the largest first. */
function hugePageProcesses(source: HostSource): NonNullable<NamedMemory['processes']> {
  const processes = listedPids(source)
    .slice(0, MAX_PROCESSES)
    .flatMap((pid) => {
      const kib = /^HugetlbPages:\s+(\d{1,13}) kB$/m.exec(optionalText(source, `/proc/${pid}/status`))?.[1];
      return kib === undefined || kib === '0' ? [] : [{ pid: Number(pid), bytes: Number(kib) * 1024 }];
    });
  const largest = processes.toSorted((a, b) => b.bytes - a.bytes).slice(0, MAX_LISTED);
  return largest.map(({ pid, bytes }) => {
    return { pid, comm: optionalText(source, `/proc/${pid}/comm`).trimEnd() || null, bytes };
  });
}

function balloon(source: HostSource, { balloon: counted }: NamedFacts, notRead: NotRead[]): NamedMemory[] {
  const driver = counted?.driver ?? balloonModule(source) ?? null;
  if (counted === undefined) {
    if (driver !== null && !notRead.some(({ kind }) => kind === 'balloon'))
      notRead.push({
        kind: 'balloon',
        code: 'gone',
        why: `${driver} is loaded, but no readable file reports its size`,
      });
    return [];
  }
  const { bytes, least, isInTotal, targetBytes, source: from } = counted;
  if (bytes === 0) return [];
  const inTotal = isInTotal === null ? null : Number(isInTotal);
  const name = driver === null ? 'unknown driver' : `${driver} (${BALLOON_DRIVERS[driver]})`;
  return [
    {
      kind: 'balloon',
      name,
      category: 'balloon',
      bytes,
      source: from,
      figures: { leastBytes: least, isInMemTotal: inTotal, targetBytes },
    },
  ];
}

/**
 * mm_stat of each device: the data, its compressed size, and the memory that it takes (mm_stat_show of
 * drivers/block/zram/zram_drv.c, since 4.1). @throws {HostError} `unreadable`: malformed
 */
function zramDevices(source: HostSource): NamedMemory[] {
  const swaps = optionalText(source, '/proc/swaps');
  const names = (hostOrNull(() => source.list('/sys/block')) ?? []).filter((name) => /^zram\d{1,5}$/.test(name));
  const isSwap = /^\/dev\/zram\d/m.test(swaps);
  if (isSwap && names.length === 0) throw new HostError('gone', '/proc/swaps lists zram, but /sys/block was not read');
  const all = names.map((name): NamedMemory => {
    const path = `/sys/block/${name}/mm_stat`;
    const [, orig, compressed, used] = /^ *(\d{1,18}) +(\d{1,18}) +(\d{1,18}) +\d+ /.exec(source.readText(path)) ?? [];
    if (used === undefined) throw new HostError('unreadable', `malformed ${path}`);
    const dataBytes = Number(orig);
    const kib = new RegExp(`^/dev/${name}\\s+\\S+\\s+\\d+\\s+(\\d{1,15})\\s`, 'm').exec(swaps)?.[1];
    const figures = {
      dataBytes,
      compressedBytes: Number(compressed),
      swapUsedBytes: kib === undefined ? null : Number(kib) * 1024,
    };
    return { kind: 'zram', name, category: 'compressed', bytes: Number(used), source: path, figures };
  });
  return all.filter(({ bytes }) => (bytes ?? 0) > 0).toSorted((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
}

/** Two reads of a busy pool differ by less. */
const BUSY = 0.05;

/**
 * The pool of zswap, and the cgroups whose pages are in it. Zswap and Zswapped of /proc/meminfo: since 5.19. A pool of zbud
 * or z3fold (removed since) is not in NR_ZSPAGES as one of zsmalloc and zram's are.
 */
function zswap(
  source: HostSource,
  { meminfo, compressed }: NamedFacts,
  ofZram: number,
  notRead: NotRead[],
): NamedMemory[] {
  const bytes = meminfo.get('Zswap') ?? 0;
  if (bytes === 0) return [];
  const isKnown = compressed !== undefined && notRead.every(({ kind }) => kind !== 'zram');
  const unmarked = isKnown ? Math.max(0, bytes - Math.max(0, compressed - ofZram)) : null;
  const unmarkedBytes = unmarked !== null && unmarked < BUSY * bytes ? 0 : unmarked;
  const whole: NamedMemory = {
    kind: 'zswap',
    name: 'zswap',
    category: 'compressed',
    bytes,
    source: '/proc/meminfo',
    figures: { dataBytes: meminfo.get('Zswapped') ?? null, compressedBytes: bytes, unmarkedBytes },
  };
  const onMissing = (why: string) => void notRead.push({ kind: 'zswap', code: 'unreadable', why });
  const cgroups = zswapByCgroup(source, Math.max(MIN_BYTES, bytes / 20), onMissing);
  // Charged to cgroups is what is stored; the pool has gaps beside it. Both change while they are read.
  const charged = cgroups.reduce((sum, cgroup) => sum + (cgroup.bytes ?? 0), 0);
  if (charged > 1.2 * bytes + MIN_BYTES) {
    onMissing(`cgroups have ${formatSize(charged)}, but Zswap of /proc/meminfo is ${formatSize(bytes)}`);
    return [whole];
  }
  return [whole, ...cgroups.slice(0, MAX_LISTED)];
}

/**
 * ZFS's cache by its own kstats (module/zfs/arc.c and abd.c of OpenZFS); undefined: ZFS is not loaded.
 *
 * @throws {HostError} malformed, unreadable, or missing although ZFS is loaded
 */
export function readZfsCache(source: HostSource): ZfsCache | undefined {
  let text: string;
  try {
    text = source.readText(`${KSTAT}/arcstats`);
  } catch (error) {
    // Its other files, too, are there only while it is loaded.
    const isLoaded =
      /^zfs /m.test(optionalText(source, '/proc/modules')) || optionalText(source, `${KSTAT}/abdstats`) !== '';
    if (isHostError(error, 'gone') && !isLoaded) return undefined;
    throw error;
  }
  const size = kstat(text, 'size');
  if (size === null) throw new HostError('unreadable', `${KSTAT}/arcstats has no size`);
  const pools = optionalText(source, `${KSTAT}/abdstats`);
  const [scattered, waste] = [kstat(pools, 'scatter_data_size'), kstat(pools, 'scatter_chunk_waste')];
  const parts = ['data_size', 'metadata_size'].map((name) => kstat(text, name));
  const most = parts.some((part) => part === null) ? size : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
  const pages = scattered === null || waste === null ? undefined : scattered + waste;
  // Counters move in between, and buffers of a transfer (compression, parity) are not in the cache.
  const slack = 4 * MIN_BYTES + size / 20;
  if (most > size + slack || (scattered ?? 0) > 2 * size + slack)
    throw new HostError('unreadable', `${KSTAT}/arcstats contradicts its parts: its size is ${size}`);
  const [target, min, max] = ['c', 'c_min', 'c_max'].map((name) => kstat(text, name));
  return { size, pages, mostPages: pages ?? most, target: target ?? null, min: min ?? null, max: max ?? null };
}

/** A value of a kstat: name, type and data in columns; null: it is missing, negative, or cut. */
function kstat(text: string, name: string): number | null {
  const digits = new RegExp(`^${name} +\\d{1,2} +(\\d{1,18})\\n`, 'm').exec(text)?.[1];
  return digits === undefined ? null : Number(digits);
}

function zfsCache({ zfs }: NamedFacts): NamedMemory[] {
  if (zfs === undefined) return [];
  const { size, pages = null, target, min, max } = zfs;
  // It never shrinks below its minimum.
  const reclaimable = min === null ? null : Math.max(0, size - min);
  const figures = {
    pagesBytes: pages,
    reclaimableBytes: reclaimable,
    targetBytes: target,
    minBytes: min,
    maxBytes: max,
  };
  return [{ kind: 'zfs-arc', name: 'ZFS ARC', category: 'zfs-arc', bytes: size, source: `${KSTAT}/arcstats`, figures }];
}

/** @throws {HostError} `unreadable`: it is no number */
function numberIn(source: HostSource, path: string): number {
  const digits = /^(\d{1,15})\s*$/.exec(source.readText(path))?.[1];
  if (digits === undefined) throw new HostError('unreadable', `malformed ${path}`);
  return Number(digits);
}
