import { HostError, isHostError } from '../error.js';
import type { HostSource } from '../host-source.js';

/** A slab cache, as /proc/slabinfo and /sys/kernel/slab tell it. */
export interface HostSlabCache {
  /** Hostile: a module chose it. */
  readonly name: string;
  /** It shrinks when memory is short; null: /sys/kernel/slab does not tell. */
  readonly reclaimable: boolean | null;
  /**
   * Of all its slabs. SLUB gives a slab fewer pages where none of its order are free, which slabinfo does not
   * show: the sum of all caches can exceed the pages that are slabs.
   */
  readonly bytes: number;
  readonly slabs: number;
  readonly slots: number;
  /** Given out, and those that CPUs keep ready. */
  readonly used: number;
  /** Bytes of an object; null: /sys/kernel/slab does not tell. */
  readonly objectSize: number | null;
  /** Bytes from one object to the next. */
  readonly slotSize: number;
}

/** A kernel has some 200, more with modules. */
const MOST_CACHES = 65_536;

/**
 * name, active objects, objects, slot, objects and pages of a slab, then "slabdata" with active slabs and
 * slabs (mm/slab_common.c).
 */
const LINE =
  /^(\S{1,128}) +(\d{1,12}) +(\d{1,12}) +(\d{1,9}) +\d{1,9} +(\d{1,9}) : .*: slabdata +\d{1,12} +(\d{1,12}) +\d{1,12}$/;

/**
 * The caches, the largest first.
 *
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`, `denied`: without root; `unreadable`: a line that is none of its own
 */
export function readSlabCaches(source: HostSource, pageSize: number): HostSlabCache[] {
  const lines = source.readText('/proc/slabinfo').split('\n');
  const caches: HostSlabCache[] = [];
  for (const line of lines.slice(0, MOST_CACHES)) {
    if (line === '' || line.startsWith('slabinfo - version') || line.startsWith('# name')) continue;
    const parts = LINE.exec(line);
    if (!parts)
      throw new HostError(
        'unreadable',
        `/proc/slabinfo has a line that is none: ${line.slice(0, 60)}`,
      );
    const [, name = '', used, slots, size, perSlab, slabs] = parts;
    const reclaims = attribute(source, name, 'reclaim_account');
    caches.push({
      name,
      reclaimable: reclaims === null ? null : reclaims === 1,
      bytes: Number(slabs) * Number(perSlab) * pageSize,
      ...{ slabs: Number(slabs), slots: Number(slots), used: Number(used) },
      objectSize: attribute(source, name, 'object_size'),
      slotSize: Number(size),
    });
  }
  return caches.toSorted((a, b) => b.bytes - a.bytes);
}

/** SLUB's own files, which some kernels lack. */
function attribute(source: HostSource, cache: string, name: string): number | null {
  if (cache.includes('/') || cache.startsWith('.')) return null;
  try {
    const text = source.readText(`/sys/kernel/slab/${cache}/${name}`).trim();
    return /^\d{1,9}$/.test(text) ? Number(text) : null;
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}
