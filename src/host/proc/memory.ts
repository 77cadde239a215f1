import { HostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';

/** Counters drift: each CPU keeps up to 125 pages of each to itself (mm/vmstat.c). */
const DRIFT_BYTES = 16 * 1024 * 1024;

/**
 * What /proc/meminfo cannot place, in bytes: memory that is not free, on no LRU list, not slab, not
 * page tables, not kernel stacks. Pages that drivers and sockets take from the buddy allocator for
 * packets have no counter of their own, so all of them together fit into this (fs/proc/meminfo.c).
 * Not in it: pages that user space owns and lends to the network (sendfile, zerocopy).
 *
 * An upper bound, made wider by the counters' drift. Throws `unreadable` without MemTotal.
 */
export function readUnplacedMemory(source: HostSource): number {
  const text = source.readText('/proc/meminfo');
  const field = (name: string) => {
    const kib = new RegExp(`^${name}:\\s+(\\d{1,13}) kB$`, 'm').exec(text)?.[1];
    return kib === undefined ? 0 : Number(kib) * 1024;
  };
  const total = field('MemTotal');
  if (total === 0) throw new HostError('unreadable', '/proc/meminfo has no MemTotal');
  const placed = PLACED.reduce((sum, name) => sum + field(name), 0);
  return Math.min(total, Math.max(0, total - placed) + Math.max(DRIFT_BYTES, total / 200));
}

const PLACED = [
  'MemFree',
  'Active',
  'Inactive',
  'Unevictable',
  'Slab',
  'PageTables',
  'KernelStack',
] as const;

/** The longest frag array of an skb: net.core.max_skb_frags, 17 where it is not shown (≤ 45). */
export function readMaxSkbFrags(source: HostSource): number {
  try {
    const limit = Number(source.readText('/proc/sys/net/core/max_skb_frags').trim());
    // The sysctl may be lowered below what the kernel still builds when it merges skbs.
    return Number.isInteger(limit) ? Math.min(45, Math.max(17, limit)) : 17;
  } catch (error) {
    if (error instanceof HostError) return 17;
    throw error;
  }
}

/** As {@link knownPageSize}; 4096 where it is not shown. */
export function readPageSize(source: HostSource): number {
  return knownPageSize(source) ?? 4096;
}

/** AT_PAGESZ of /proc/self/auxv (pairs of native words), a power of two; undefined: it is not shown. */
export function knownPageSize(source: HostSource): number | undefined {
  const AT_PAGESZ = 6n;
  let size: number | undefined;
  try {
    source.readBytes('/proc/self/auxv', (bytes) => {
      for (let at = 0; at + 16 <= bytes.length; at += 16)
        if (bytes.readBigUInt64LE(at) === AT_PAGESZ) size = Number(bytes.readBigUInt64LE(at + 8));
    });
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
  }
  return size !== undefined && PAGE_SIZES.has(size) ? size : undefined;
}

const PAGE_SIZES: ReadonlySet<number> = new Set([4096, 16_384, 65_536]);
