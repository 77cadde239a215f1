import { HostError, isHostError } from '../../base/errors/host.js';
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
  /^(\S{1,128}) +(\d{1,12}) +(\d{1,12}) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) : .*: slabdata +\d{1,12} +(\d{1,12}) +\d{1,12}$/;

/**
 * The caches, the largest first.
 *
 * @param pageSize bytes of a base page
 * @throws {HostError} `gone`, `denied`: without root; `unreadable`: a line that is none of its own
 */
export function readSlabCaches(source: HostSource, pageSize: number): HostSlabCache[] {
  return slabLines(source)
    .map(({ name, used, slots, slotSize, pagesPerSlab, slabs }) => {
      const reclaims = attribute(source, name, 'reclaim_account');
      return {
        name,
        reclaimable: reclaims === null ? null : reclaims === 1,
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

/** A cache as its line in /proc/slabinfo has it. */
export interface SlabLine
  extends Pick<HostSlabCache, 'name' | 'used' | 'slots' | 'slotSize' | 'slabs'> {
  readonly slotsPerSlab: number;
  readonly pagesPerSlab: number;
}

/** @throws as {@link readSlabCaches} */
export function slabLines(source: Pick<HostSource, 'readText'>): SlabLine[] {
  const lines = source.readText('/proc/slabinfo').split('\n').slice(0, MOST_CACHES);
  return lines.flatMap((line) => {
    if (line === '' || line.startsWith('slabinfo - version') || line.startsWith('# name'))
      return [];
    const parts = LINE.exec(line);
    if (!parts)
      throw new HostError('unreadable', `malformed line in /proc/slabinfo: ${line.slice(0, 60)}`);
    const [, name = '', ...figures] = parts;
    const [used = 0, slots = 0, slotSize = 0, slotsPerSlab = 0, pagesPerSlab = 0, slabs = 0] =
      figures.map(Number);
    return [{ name, used, slots, slotSize, slotsPerSlab, pagesPerSlab, slabs }];
  });
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
