import { HostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import { type Listed, listed } from './listed.js';
import { readPageSize } from './memory.js';
import { type HostSlabCache, readSlabCaches } from './slab-caches.js';
import { type HostZone, readZones } from './zones.js';

/** What lists of /proc tell of memory beside counters; of each that cannot be read why. */
export interface HostDetails {
  readonly vmalloc: Listed<VmallocPages>;
  /** The largest first. */
  readonly caches: Listed<readonly HostSlabCache[]>;
  readonly zones: Listed<readonly HostZone[]>;
}

export function readHostDetails(source: HostSource): HostDetails {
  return {
    vmalloc: listed(() => readVmallocPages(source)),
    caches: listed(() => readSlabCaches(source, readPageSize(source))),
    zones: withBlocks(listed(() => readZones(source))),
  };
}

/** Zones are told with their free blocks, or not at all. */
function withBlocks(zones: Listed<readonly HostZone[]>): Listed<readonly HostZone[]> {
  const lacks = 'list' in zones && zones.list.some(({ freeBlocks }) => freeBlocks.length === 0);
  return lacks
    ? { code: 'unreadable', why: 'malformed /proc/buddyinfo (a zone is missing)' }
    : zones;
}

/** Pages of vmalloc's address space by who asked for them (/proc/vmallocinfo). */
type VmallocPages = ReadonlyMap<string, number>;

/** One with many BPF programs has a hundred thousand. */
const MOST_AREAS = 2 ** 22;

/** Functions are a few thousand; a hostile table is no reason to grow without end. */
const MOST_CALLERS = 65_536;

/**
 * Of each function the base pages that its areas own; those that map pages of somebody else have no
 * `pages=` (s_show of mm/vmalloc.c).
 *
 * @throws {HostError} `gone`, `denied`: without root; `unreadable`
 */
function readVmallocPages(source: HostSource): VmallocPages {
  const pages = new Map<string, number>();
  const lines = source.readText('/proc/vmallocinfo').split('\n');
  if (lines.length > MOST_AREAS) throw new HostError('unreadable', '/proc/vmallocinfo is too long');
  for (const line of lines) {
    const parts = /^0x[0-9a-f]+-0x[0-9a-f]+ +\d+ (.*?) ?pages=(\d{1,12})(?: |$)/.exec(line);
    if (!parts) continue;
    // function+offset/size, and of a module's [its name]
    const name = /^([^+ ]+)\+0x[0-9a-f]+\/0x[0-9a-f]+( \[[^\] ]+\])?/.exec(parts[1] ?? '');
    const caller = name ? `${name[1]}${name[2] ?? ''}` : '';
    const known = pages.get(caller);
    if (known === undefined && pages.size >= MOST_CALLERS)
      throw new HostError('unreadable', '/proc/vmallocinfo names too many functions');
    pages.set(caller, (known ?? 0) + Number(parts[2]));
  }
  return pages;
}
