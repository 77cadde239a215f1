import { hostOrNull } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { KPF, RESERVED_HIGH } from './frames/frame-files.js';

/** Memory whose users have no counter of their own: packets, drivers, … */
export interface Census {
  /** Allocations by order: compound ones, and single pages under 0. */
  readonly orders: ReadonlyMap<number, number>;
  /** Total bytes: an upper bound on pages that contain packet data. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** Flags that identify another owner of a page. */
const PLACED =
  KPF.LRU |
  KPF.SLAB |
  KPF.BUDDY |
  KPF.MMAP |
  KPF.ANON |
  KPF.SWAPCACHE |
  KPF.SWAPBACKED |
  KPF.HUGE |
  KPF.HWPOISON |
  KPF.NOPAGE |
  KPF.KSM |
  KPF.THP |
  KPF.OFFLINE |
  KPF.ZERO_PAGE |
  KPF.PGTABLE;

/**
 * Counts the pages in /proc/kpageflags, one 64-bit word per page, that are neither slab, nor in a file
 * or anonymous, nor page tables, nor free: pages of received packets are among them. Packet pages are
 * compound if they are larger than one page (__GFP_COMP), and have no flags if they are single.
 *
 * Some kernels set KPF_BUDDY only on the first page of a free block: the others look like single pages,
 * and are subtracted according to /proc/buddyinfo. Pages in the allocator's per-CPU free lists are
 * included: the result is an upper bound, not a count. User pages lent to the network (sendfile,
 * splice, zerocopy) are not included.
 *
 * Throws `denied` without root, `gone` if the kernel lacks the file, `unreadable`.
 */
export function takeCensus(source: HostSource, pageSize: number): Census {
  const began = source.now();
  const orders = new Map<number, number>();
  const freeBefore = freePages(source);
  let pages = 0;
  let loose = 0;
  let free = 0;
  /** Base pages of the current compound page, 0 if it has another owner or there is none. */
  let open = 0;
  const close = () => {
    if (open === 0) return;
    const order = Math.ceil(Math.log2(open));
    orders.set(order, (orders.get(order) ?? 0) + 1);
    pages += open;
    open = 0;
  };
  let carried: Buffer = Buffer.alloc(0);
  source.readBytes('/proc/kpageflags', (piece) => {
    const bytes = carried.length > 0 ? Buffer.concat([carried, piece]) : piece;
    const words = bytes.length >> 3;
    for (let word = 0; word < words; word++) {
      const low = bytes.readUInt32LE(word * 8);
      if ((low & KPF.TAIL) !== 0) {
        if (open > 0) open++;
        continue;
      }
      close();
      if ((low & KPF.BUDDY) !== 0) free++;
      if ((low & PLACED) !== 0) continue;
      if ((bytes.readUInt32LE(word * 8 + 4) & RESERVED_HIGH) !== 0) continue;
      if ((low & KPF.HEAD) !== 0) open = 1;
      else loose++;
    }
    carried = Buffer.from(bytes.subarray(words * 8));
  });
  close();
  // The smaller of two values: the bound should rather be too high than too low.
  const unmarked = Math.max(0, Math.min(freeBefore, freePages(source)) - free);
  const single = Math.max(0, loose - unmarked);
  if (single > 0) orders.set(0, single);
  return { orders, bytes: (pages + single) * pageSize, durationMs: Math.max(0, source.now() - began) };
}

/** Number of free pages: /proc/buddyinfo has the number of blocks of each order; no kernel has 64 orders. */
function freePages(source: HostSource): number {
  let pages = 0;
  for (const line of source.readText('/proc/buddyinfo').split('\n')) {
    const counts = /^Node\s+\d+, zone\s+\S+((?:\s+\d{1,12}){1,64})\s*$/.exec(line)?.[1];
    if (counts === undefined) continue;
    counts
      .trim()
      .split(/\s+/)
      .forEach((count, order) => {
        pages += Number(count) * 2 ** order;
      });
  }
  return pages;
}

/** Bytes of the largest allocation that a frag can point into. */
const LARGEST_PAGE_BYTES = 32 * 1024;

/**
 * Theoretical maximum that packets can pin: each skb in use has all its frags and a head, each alone in
 * an allocation of 32 KiB. Unrealistic on any host. Null if /proc/slabinfo is not available or does not
 * list the cache.
 */
export function theoreticalWorst(source: HostSource, maxSkbFrags: number): number | null {
  return hostOrNull(() => {
    const text = source.readText('/proc/slabinfo');
    let skbs: number | null = null;
    for (const match of text.matchAll(/^skbuff_(?:head|fclone)_cache +(\d{1,12}) /gm))
      skbs = (skbs ?? 0) + Number(match[1]);
    return skbs === null ? null : skbs * (maxSkbFrags + 1) * LARGEST_PAGE_BYTES;
  });
}
