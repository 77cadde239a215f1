import { HostError, hostOrNull, isHostError } from '../../base/errors.js';
import type { SlabCacheJson } from '../../contracts/memory.js';
import type { ZoneRecord } from '../../records/machine-sample.js';
import type { HostSource } from '../host-source.js';
import { readPageSize } from './memory.js';
import { type Listed, listed } from './process.js';

/** Lists in /proc that describe memory, besides counters; for each unreadable one, the reason. */
export interface HostDetails {
  readonly vmalloc: Listed<VmallocPages>;
  /** Largest first. */
  readonly caches: Listed<readonly HostSlabCache[]>;
  readonly zones: Listed<readonly ZoneRecord[]>;
}

export function readHostDetails(source: HostSource): HostDetails {
  return {
    vmalloc: listed(() => readVmallocPages(source)),
    caches: listed(() => readSlabCaches(source, readPageSize(source))),
    zones: withBlocks(listed(() => readZones(source))),
  };
}

/** Requires free blocks for zones: without them the zones are not listed. */
function withBlocks(zones: Listed<readonly ZoneRecord[]>): Listed<readonly ZoneRecord[]> {
  const lacks = 'list' in zones && zones.list.some(({ freeBlocks }) => freeBlocks.length === 0);
  return lacks ? { code: 'unreadable', why: 'malformed /proc/buddyinfo (a zone is missing)' } : zones;
}

/** Pages of the vmalloc area by caller (/proc/vmallocinfo). */
type VmallocPages = ReadonlyMap<string, number>;

/** A machine with many BPF programs has a hundred thousand. */
const MAX_AREAS = 2 ** 22;

/** Kernels have a few thousand callers; bounds memory for hostile input. */
const MAX_CALLERS = 65_536;

/**
 * Base pages of the areas of each caller; areas that map pages owned elsewhere have no `pages=` (s_show
 * of mm/vmalloc.c).
 *
 * @throws {HostError} `gone`, `denied`: without root; `unreadable`
 */
export function readVmallocPages(source: HostSource): VmallocPages {
  const pages = new Map<string, number>();
  const lines = source.readText('/proc/vmallocinfo').split('\n');
  if (lines.length > MAX_AREAS) throw new HostError('unreadable', '/proc/vmallocinfo is too long');
  for (const line of lines) {
    const parts = /^0x[0-9a-f]+-0x[0-9a-f]+ +\d+ (.*?) ?pages=(\d{1,12})(?: |$)/.exec(line);
    if (!parts) continue;
    // function+offset/size, followed by [module] for a module's function
    const name = /^([^+ ]+)\+0x[0-9a-f]+\/0x[0-9a-f]+( \[[^\] ]+\])?/.exec(parts[1] ?? '');
    const caller = name ? `${name[1]}${name[2] ?? ''}` : '';
    const known = pages.get(caller);
    if (known === undefined && pages.size >= MAX_CALLERS)
      throw new HostError('unreadable', '/proc/vmallocinfo names too many functions');
    pages.set(caller, (known ?? 0) + Number(parts[2]));
  }
  return pages;
}

/** Enough for 1,024 NUMA nodes with all zones. */
const MAX_ZONES = 8192;

/**
 * Reads zones with memory from /proc/zoneinfo and /proc/buddyinfo.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`: of /proc/zoneinfo
 */
export function readZones(source: HostSource): ZoneRecord[] {
  const blocks = freeBlocks(source);
  const zones: ZoneRecord[] = [];
  const parts = source.readText('/proc/zoneinfo').split(/^(?=Node )/m);
  for (const part of parts.slice(0, MAX_ZONES)) {
    const head = /^Node (\d{1,6}), zone +(\S{1,32})$/m.exec(part);
    const figure = (pattern: RegExp) => {
      const digits = pattern.exec(part)?.[1];
      return digits === undefined ? undefined : Number(digits);
    };
    const present = figure(/^ +present +(\d{1,15})$/m);
    if (!head || present === undefined || present === 0) continue;
    const [node, name] = [head[1] ?? '', head[2] ?? ''];
    const [start, spanned, managed] = [
      figure(/^ +start_pfn: +(\d{1,15})$/m),
      figure(/^ +spanned +(\d{1,15})$/m),
      figure(/^ +managed +(\d{1,15})$/m),
    ];
    if (start === undefined || spanned === undefined || managed === undefined)
      throw new HostError('unreadable', `malformed /proc/zoneinfo (zone ${name})`);
    const [min, low, high] = [
      figure(/^ +min +(\d{1,15})$/m),
      figure(/^ +low +(\d{1,15})$/m),
      figure(/^ +high +(\d{1,15})$/m),
    ];
    zones.push({
      nodeId: Number(node),
      name,
      start,
      spanned,
      present,
      managed,
      freeBlocks: blocks.get(`${node} ${name}`) ?? [],
      watermarks: min === undefined || low === undefined || high === undefined ? null : { min, low, high },
    });
  }
  if (zones.length === 0) throw new HostError('unreadable', '/proc/zoneinfo has no zone');
  return zones;
}

function freeBlocks(source: HostSource): Map<string, number[]> {
  const byNode = new Map<string, number[]>();
  let text: string;
  try {
    text = source.readText('/proc/buddyinfo');
  } catch (error) {
    if (!isHostError(error)) throw error;
    return byNode;
  }
  for (const line of text.split('\n')) {
    const parts = /^Node +(\d{1,6}), zone +(\S{1,32})((?: +\d{1,12}){1,64}) *$/.exec(line);
    if (parts) byNode.set(`${parts[1]} ${parts[2]}`, (parts[3] ?? '').trim().split(/ +/).map(Number));
  }
  return byNode;
}

/** A slab cache according to /proc/slabinfo and /sys/kernel/slab. */
interface HostSlabCache extends SlabCacheJson {
  /** Bytes from one object to the next. */
  readonly slotSize: number;
}

/** A kernel has about 200, more with modules. */
const MAX_CACHES = 65_536;

/**
 * name, active objects, objects, slot, objects and pages of a slab, then "slabdata" with active slabs and
 * slabs (mm/slab_common.c).
 */
const LINE =
  /^(\S{1,128}) +(\d{1,12}) +(\d{1,12}) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) : .*: slabdata +\d{1,12} +(\d{1,12}) +\d{1,12}$/;

/**
 * Reads the caches, largest first.
 *
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`, `denied`: without root; `unreadable`: a malformed line
 */
function readSlabCaches(source: HostSource, pageSize: number): HostSlabCache[] {
  return slabLines(source)
    .map(({ name, used, slots, slotSize, pagesPerSlab, slabs }) => {
      return {
        name,
        reclaimable: isReclaimable(source, name),
        bytes: slabs * pagesPerSlab * pageSize,
        slabs,
        slots,
        used,
        slotSize,
        objectSize: attribute(source, name, 'object_size'),
      };
    })
    .toSorted((a, b) => b.bytes - a.bytes);
}

/** A cache's line in /proc/slabinfo. */
export interface SlabLine extends Pick<HostSlabCache, 'name' | 'used' | 'slots' | 'slotSize' | 'slabs'> {
  readonly slotsPerSlab: number;
  readonly pagesPerSlab: number;
}

/** @throws as {@link readSlabCaches} */
export function slabLines(source: Pick<HostSource, 'readText'>): SlabLine[] {
  const lines = source.readText('/proc/slabinfo').split('\n').slice(0, MAX_CACHES);
  return lines.flatMap((line) => {
    if (line === '' || line.startsWith('slabinfo - version') || line.startsWith('# name')) return [];
    const parts = LINE.exec(line);
    if (!parts) throw new HostError('unreadable', `malformed line in /proc/slabinfo: ${line.slice(0, 60)}`);
    const [, name = '', ...figures] = parts;
    const [used = 0, slots = 0, slotSize = 0, slotsPerSlab = 0, pagesPerSlab = 0, slabs = 0] = figures.map(Number);
    return [{ name, used, slots, slotSize, slotsPerSlab, pagesPerSlab, slabs }];
  });
}

/** Whether SReclaimable counts a cache; null: unknown. */
export function isReclaimable(source: HostSource, cache: string): boolean | null {
  const reclaims = attribute(source, cache, 'reclaim_account');
  return reclaims === null ? null : reclaims === 1;
}

/** Reads SLUB's sysfs attributes, which some kernels lack. */
function attribute(source: HostSource, cache: string, name: string): number | null {
  if (cache.includes('/') || cache.startsWith('.')) return null;
  return hostOrNull(() => {
    const text = source.readText(`/sys/kernel/slab/${cache}/${name}`).trim();
    return /^\d{1,9}$/.test(text) ? Number(text) : null;
  });
}
