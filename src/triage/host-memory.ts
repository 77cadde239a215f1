import type { LargestProgram } from '../account/processes/groups.js';
import { HostError } from '../base/errors.js';
import type { Pressure } from '../contracts/common.js';
import { parsePressure } from '../host/proc/machine-sample.js';
import { optionalText } from '../host/proc/process.js';
import { freePages } from '../records/machine-sample.js';
import { type Finding, found } from './finding.js';
import type { Figure, Of } from './findings/declared.js';
import { type HostReader, malformed } from './host-reader.js';
import { isLargePart, THRESHOLDS } from './thresholds.js';

/** Order of kernel buffers and stacks: without free blocks of this order, their allocations fail or stall. */
const NEEDED_ORDER = 3;
/** Smaller zones (DMA) serve few allocations. Bytes. */
const MIN_ZONE_BYTES = 64 * 2 ** 20;
/** Largest slab caches that a finding names. */
export const MAX_CACHES = 3;

/** Figures of a program; null: unknown. @param name of the amount */
export function programFigures<Name extends string>(most: LargestProgram | undefined, name: Name) {
  const { pid = null, comm = null, amount = null, processes = 1 } = most ?? {};
  const figure = { [name]: amount } as Of<Name>;
  return { pid, comm, ...figure, ...(processes > 1 ? { processes } : {}) };
}

interface Zone {
  readonly node: number;
  readonly name: string;
  readonly free: number;
  readonly min: number;
  readonly low: number;
  readonly managed: number;
}

/** Zones with memory. Pages. @throws {HostError} */
function zonesOf(host: HostReader): Zone[] {
  const path = '/proc/zoneinfo';
  const zones: Zone[] = [];
  for (const part of host.text(path).split(/^(?=Node \d)/m)) {
    const [, node, name] = /^Node (\d{1,5}), zone +(\w{1,20})$/m.exec(part) ?? [];
    if (node === undefined || name === undefined) continue;
    const pages = (form: RegExp) => host.figure(path, part, form);
    const managed = pages(/^ +managed +(\d{1,15})$/m);
    if (managed === 0) continue;
    zones.push({
      node: Number(node),
      name,
      managed,
      free: pages(/^ +pages free +(\d{1,15})$/m),
      min: pages(/^ +min +(\d{1,15})$/m),
      low: pages(/^ +low +(\d{1,15})$/m),
    });
  }
  if (zones.length === 0) throw malformed(path);
  return zones;
}

/** Zones below their min or low watermark. @throws {HostError} */
export function* lowMemory(host: HostReader): Generator<Finding> {
  for (const { node, name, free, min, low } of zonesOf(host)) {
    if (free >= low) continue;
    const figures = {
      node,
      zone: name,
      freeBytes: free * host.pageSize,
      minBytes: min * host.pageSize,
      lowBytes: low * host.pageSize,
    };
    // kswapd is woken below low, and normally frees memory before min is reached.
    yield found('low-memory', free < min ? 'warning' : 'note', figures, 'memory --nodes');
  }
}

/** Zones with free memory, but without a free block of the needed order. @throws {HostError} */
export function* fragmentation(host: HostReader): Generator<Finding> {
  const path = '/proc/buddyinfo';
  const vmstat = host.text('/proc/vmstat');
  const counter = (name: string) => Number(new RegExp(`^${name} (\\d{1,15})$`, 'm').exec(vmstat)?.[1] ?? 0);
  const zones = new Map(zonesOf(host).map((zone) => [`${zone.node} ${zone.name}`, zone]));
  const lines = host.text(path).split('\n').filter(Boolean);
  if (lines.length === 0) throw malformed(path);
  for (const line of lines) {
    const [, node, name, counts] = /^Node (\d{1,5}), zone +(\w{1,20})((?: +\d{1,12})+) *$/.exec(line) ?? [];
    if (node === undefined || counts === undefined) throw malformed(path);
    const blocks = counts.trim().split(/ +/).map(Number);
    const zone = zones.get(`${node} ${name}`);
    if (!zone || zone.managed * host.pageSize < MIN_ZONE_BYTES) continue;
    const free = freePages(blocks);
    const large = blocks.slice(NEEDED_ORDER).some((count) => count > 0);
    if (large || free < zone.low) continue;
    const failed = counter('compact_fail');
    const figures = {
      node: zone.node,
      zone: zone.name,
      order: NEEDED_ORDER,
      freeBytes: free * host.pageSize,
      compactStalls: counter('compact_stall'),
      compactFails: failed,
      ...pageblocks(host, zone.node, zone.name),
    };
    yield found('fragmentation', failed > 0 ? 'warning' : 'note', figures, 'memory --nodes');
  }
}

/**
 * Pageblocks of a zone by migrate type: compaction cannot empty unmovable ones. Empty: not readable, since only
 * root may, or the kernel does not report it. The kernel locks the zone to count: only read if needed.
 */
export function pageblocks(host: HostReader, node: Figure, zone: Figure): Finding['figures'] {
  const text = optionalText(host.source, '/proc/pagetypeinfo');
  const [types = '', ...zones] = text.slice(text.indexOf('Number of blocks type')).split('\n');
  for (const line of zones) {
    const [, ofNode, name, counts = ''] = /^Node (\d{1,5}), zone +(\w+) +([\d ]+)$/.exec(line) ?? [];
    if (ofNode !== String(node) || name !== zone) continue;
    const names = types.trim().split(/ +/).slice(4);
    const blocks = counts.trim().split(/ +/).map(Number);
    const [unmovable, reclaimable] = ['Unmovable', 'Reclaimable'].map((type) => blocks[names.indexOf(type)]);
    if (unmovable === undefined || reclaimable === undefined) return {};
    const all = blocks.reduce((sum, count) => sum + count, 0);
    return { pageblocks: all, unmovableBlocks: unmovable, reclaimableBlocks: reclaimable };
  }
  return {};
}

/** PSI of the machine. @throws {HostError} */
function pressureOf(host: HostReader, resource: 'memory' | 'io'): Pressure {
  const path = `/proc/pressure/${resource}`;
  const pressure = parsePressure(host.text(path));
  if (!pressure) throw malformed(path);
  return pressure;
}

/** Both averages must be high: a past spike is no longer a problem, and the last 10 s alone may be a spike. */
export function isStalled({ some, full }: Pressure): boolean {
  const { warning, stalls } = THRESHOLDS['memory-pressure'];
  const isFull = full.avg10 >= warning && full.avg60 >= warning / 5;
  return isFull || (some.avg10 >= stalls && some.avg60 >= stalls / 5);
}

/** Tasks that stall on memory. @throws {HostError} */
export function* memoryPressure(host: HostReader): Generator<Finding> {
  const pressure = pressureOf(host, 'memory');
  if (!isStalled(pressure)) return;
  const { some, full } = pressure;
  const figures = {
    cgroup: null,
    fullAvg10: full.avg10,
    fullAvg60: full.avg60,
    someAvg10: some.avg10,
    someAvg60: some.avg60,
    swapUsedBytes: swapUsed(host),
  };
  yield found('memory-pressure', 'warning', figures, 'procs --sort anon');
}

/** Null: /proc/meminfo is not available, as in a text that has other files. */
function swapUsed(host: HostReader): number | null {
  try {
    return host.meminfo('SwapTotal') - host.meminfo('SwapFree');
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

/** Kills by the OOM killer since boot. @throws {HostError} */
export function* oomKills(host: HostReader): Generator<Finding> {
  const path = '/proc/vmstat';
  // Since 4.13.
  const kills = host.figure(path, host.text(path), /^oom_kill (\d{1,15})$/m);
  if (kills > 0) yield found('oom-kills', 'note', { kills, cgroup: null }, 'procs --sort oom');
}

/** Dirty pages that are not written back. @throws {HostError} */
export function* writeback(host: HostReader): Generator<Finding> {
  const [dirtyBytes, writebackBytes] = [host.meminfo('Dirty'), host.meminfo('Writeback')];
  const share = (dirtyBytes + writebackBytes) / host.meminfo('MemTotal');
  const { full } = pressureOf(host, 'io');
  const least = THRESHOLDS['writeback-stuck'];
  if (share < least.warning || full.avg60 < least.stalls) return;
  const figures = { dirtyBytes, writebackBytes, share, ioFullAvg60: full.avg60 };
  yield found('writeback-stuck', 'warning', figures, 'memory -v');
}

/** Much slab, with its largest caches: a fact, if the kernel can reclaim it. @throws {HostError} */
export function* largeSlab(host: HostReader): Generator<Finding> {
  yield* slabAlone(host);
  yield* slabOf(host, 'SUnreclaim', 'unreclaimable-slab');
  // No problem is missed without it.
  if (host.text('/proc/meminfo').includes('\nSReclaimable:')) yield* slabOf(host, 'SReclaimable', 'reclaimable-slab');
}

function* slabOf(
  host: HostReader,
  counter: string,
  code: 'unreclaimable-slab' | 'reclaimable-slab',
): Generator<Finding> {
  const bytes = host.meminfo(counter);
  const share = bytes / host.meminfo('MemTotal');
  if (!isLargePart(code, bytes, share)) return;
  const caches = largestCaches(host);
  const figures = {
    bytes,
    share,
    caches: caches?.map(({ name }) => name).join(', ') ?? null,
    mostBytes: caches?.[0]?.bytes ?? null,
  };
  yield found(code, code === 'reclaimable-slab' ? 'note' : 'warning', figures, 'memory -v');
}

/** Slab caches of a text without /proc/meminfo: their share of memory is unknown. */
function* slabAlone(host: HostReader): Generator<Finding> {
  if (optionalText(host.source, '/proc/meminfo') !== '' || optionalText(host.source, '/proc/slabinfo') === '') return;
  const all = cachesOf(host);
  const [most] = all;
  const bytes = all.reduce((sum, cache) => sum + cache.bytes, 0);
  if (!most || bytes < THRESHOLDS['unreclaimable-slab'].leastBytes) return;
  const names = all.slice(0, MAX_CACHES).map(({ name }) => name);
  const figures = { bytes, share: null, caches: names.join(', '), mostBytes: most.bytes };
  yield found('unreclaimable-slab', most.bytes >= bytes / 2 ? 'warning' : 'note', figures, 'memory --caches');
}

/** Undefined: unreadable, which is recorded. */
function largestCaches(host: HostReader): { name: string; bytes: number }[] | undefined {
  try {
    return cachesOf(host).slice(0, MAX_CACHES);
  } catch (error) {
    host.miss('slab', 'the largest slab caches', error);
    return undefined;
  }
}

/** Slab caches, the largest first. @throws {HostError} */
function cachesOf(host: HostReader): { name: string; bytes: number }[] {
  const form = /^(\S{1,100}) +\d+ +\d+ +\d+ +\d+ +(\d{1,6}) : tunables.* : slabdata +\d+ +(\d{1,12}) /gm;
  const caches = Array.from(host.text('/proc/slabinfo').matchAll(form), ([, name = '', pages, slabs]) => {
    return { name, bytes: Number(pages) * Number(slabs) * host.pageSize };
  });
  return caches.toSorted((a, b) => b.bytes - a.bytes);
}
