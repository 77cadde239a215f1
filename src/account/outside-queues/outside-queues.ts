import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { neighbourSkbs } from '../../walk/network/neighbours.js';
import { CountedPages, keptFragPages, type NetworkPages, napiReserve } from '../../walk/network/network-pages.js';
import { QdiscReader } from '../../walk/network/qdisc.js';
import { fragmentSkbs } from '../../walk/network/reassembly.js';
import { NapiReader, softnetSkbs } from '../../walk/network/softnet.js';
import { xdpRings } from '../../walk/network/software-rings.js';
import type { FragPage } from '../../walk/pages/page-frag-cache.js';
import type { SkbCache } from '../../walk/pages/slab-caches.js';
import { freeInCaches } from '../../walk/pages/slot-use.js';
import { memoryUse } from '../../walk/pages/vm-counters.js';
import type { Tally } from '../tally.js';
import {
  type AnyStep,
  blockOf,
  type Known,
  newPages,
  type OutsideEntry,
  type OutsideTools,
  outsideTools,
  packetsOf,
  receiveRings,
  runSteps,
  type Step,
  softwareRings,
  waiting,
} from './pipeline.js';
import type { SlabCode } from './row.js';

/**
 * Network memory outside socket queues: packets in flight through the machine, pages cut into fragments,
 * receive rings; and whether any skb remains unattributed.
 *
 * @param seen result of the scan over all page frames
 * @param sockets holdings of all sockets together
 * @param socks addresses of all of them
 */
export function* outsideQueues(
  kernel: Kernel,
  seen: NetworkPages,
  sockets: Tally,
  socks: readonly bigint[],
): Generator<OutsideEntry> {
  const tools = outsideTools(kernel, seen);
  // The row of AF_XDP rings is omitted if there are none.
  for (const entry of runSteps(kernel.facts.pageSize, sockets, inOrder(tools, socks)))
    if (entry.row.code !== 'xdp-rings' || entry.row.objects !== 0) yield entry;
}

/** Yields the rows in the order in which they are counted: a page belongs to the first row that holds it. */
function* inOrder(tools: OutsideTools, socks: readonly bigint[]): Generator<AnyStep> {
  const { kernel, lists, devices } = tools;
  yield waiting(tools, 'cpu-queues', () => softnetSkbs(kernel, lists));
  yield qdiscs(tools);
  yield waiting(tools, 'ip-fragments', () => fragmentSkbs(kernel, lists));
  yield waiting(tools, 'neighbours', () => neighbourSkbs(kernel, lists));
  yield waiting(tools, 'gro', () => {
    const reader = new NapiReader(kernel, lists);
    return devices().flatMap((device) => [...reader.ofDevice(device)]);
  });
  yield pageFragments(tools, socks);
  yield pagePools(tools);
  // Then rings: some engines do not know the types of modules, and skip what they cannot walk.
  yield* receiveRings(tools);
  yield* softwareRings(tools);
  yield xdpRingPages(tools);
  // Finally the remaining skbs and pages.
  yield* slabRows(tools);
  yield otherPages(tools);
}

/** The row of pages that page pools own, lent or kept. */
function pagePools(tools: OutsideTools): Step<'page-pools'> {
  const { seen } = tools;
  return {
    code: 'page-pools',
    count(known) {
      if (!seen.knowsPools) return { status: 'not-walked' };
      if (!seen.complete) throw damaged('some struct pages of the dump could not be read');
      const { pages, bytes, holds } = newPages(tools, known, seen.poolPages);
      const figures = { owned: seen.poolPages.length, pages };
      return { status: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}

/** Row of queueing disciplines; packets in their private structures come from their own counters. */
function qdiscs(tools: OutsideTools): Step<'qdiscs'> {
  return {
    code: 'qdiscs',
    count(known) {
      const reader = new QdiscReader(tools.kernel, tools.lists);
      const putBack: bigint[] = [];
      let queued = 0;
      for (const device of tools.devices()) {
        for (const content of reader.ofDevice(device)) {
          queued += content.queued;
          putBack.push(...content.requeued);
        }
      }
      const outside = packetsOf(tools, known, putBack);
      const packets = queued + outside.packets;
      const bytes = queued === 0 ? outside.bytes : null;
      const figures = { packets, queued };
      return { status: 'counted', objects: packets, bytes, figures, holds: outside.holds };
    },
  };
}

/** Row of AF_XDP rings. Rings in vmalloc areas count in full: their pages have no other owner. */
function xdpRingPages(tools: OutsideTools): Step<'xdp-rings'> {
  return {
    code: 'xdp-rings',
    count(known) {
      const { kernel } = tools;
      const { pageSize } = kernel.facts;
      const pages: bigint[] = [];
      let rings = 0;
      let vmalloced = 0;
      for (const ring of xdpRings(kernel)) {
        rings++;
        if (ring.vmalloced === undefined) {
          const page = kernel.pages.pageOf(ring.memory);
          if (page === undefined) throw damaged('a ring has no struct page');
          pages.push(page);
        } else vmalloced += Math.ceil(ring.vmalloced / pageSize) * pageSize;
      }
      const { bytes, holds } = newPages(tools, known, pages);
      const figures = { rings, vmalloced: rings - pages.length };
      return { status: 'counted', objects: rings, bytes: bytes + vmalloced, figures, holds };
    },
  };
}

/** Rows of the slab caches of skbs and their heads; the skb cache always has a row. */
function* slabRows(tools: OutsideTools): Generator<Step<SlabCode>> {
  const { skbCaches, noSkbCaches } = tools.seen;
  for (const cache of skbCaches) yield { code: cache.kind, count: (known) => slabObjects(tools, cache, known) };
  if (skbCaches.some(({ kind }) => kind === 'skbs')) return;
  const fail = () => {
    throw noSkbCaches ?? unsupportedLayout('this kernel has no known skb cache');
  };
  yield { code: 'skbs', count: fail };
}

/**
 * Objects that a slab cache counts as in use, less those in sockets, previous rows, and reserves.
 *
 * @throws {KernelError}, {@link ReadError} if they cannot be counted
 */
function slabObjects(
  { kernel, seen }: OutsideTools,
  cache: SkbCache,
  known: Known,
): ReturnType<Step<SlabCode>['count']> {
  const count = seen.usage.count(cache.address);
  if (!seen.complete || !count) throw damaged('some slabs of the dump could not be read');
  const used = count.inUse - freeInCaches(kernel, cache.address);
  const reserve = cache.kind === 'skbs' ? napiReserve(kernel) : 0;
  const met = known.slotsByCache().get(cache.address) ?? 0;
  const left = used - reserve - met;
  const figures = { used, reserve, met, left, merged: cache.merged };
  if (cache.merged) return { status: 'counted', objects: null, bytes: null, figures };
  if (left < 0) return { status: 'contradicted', figures };
  return { status: 'counted', objects: left, bytes: left * cache.size, figures };
}

/** Row of pages that CPUs, tasks and sockets keep to allocate fragments from. */
function pageFragments(tools: OutsideTools, socks: readonly bigint[]): Step<'page-fragments'> {
  return {
    code: 'page-fragments',
    count(known) {
      const kept = keptFragPages(tools.kernel, socks);
      const heads = new Set(kept.map((page) => headOf(tools, page)));
      const shared = [...heads].filter((frame) => known.holdsPage(frame)).length;
      const { pages, bytes, holds } = newPages(
        tools,
        known,
        kept.map(({ page }) => page),
      );
      const figures = { kept: heads.size, shared, pages };
      return { status: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}

/**
 * Returns the first frame of a page that is split into fragments. Tasks and sockets record its size
 * (skb_page_frag_refill).
 *
 * @throws as blockOf does; {@link KernelError} `damaged`
 */
function headOf({ kernel, pages }: OutsideTools, { page, size }: FragPage): number {
  const { frame, order } = blockOf(pages, page);
  const bytes = kernel.facts.pageSize * 2 ** (order ?? 0);
  if (size !== undefined && size !== bytes && !kernel.facts.live)
    throw damaged(`a page_frag has ${size} bytes, but its page ${hex(page)} has ${bytes}`);
  return frame;
}

/**
 * Row of the uses of all pages of the machine. Pages from the buddy allocator that no kernel counter covers
 * (slabs, files, processes, page tables, vmalloc) belong to the network or other parts of the kernel. Those
 * in no queue and no row are the upper limit of unlisted network memory. Objects are base pages.
 */
function otherPages({ kernel, seen }: OutsideTools): Step<'other-pages'> {
  return {
    code: 'other-pages',
    count(known) {
      const slabs = seen.slabPages;
      if (slabs === undefined) throw damaged('some slabs of the dump could not be read');
      const { managed, ...use } = memoryUse(kernel);
      const { present, free, lru, pageTables, vmalloced, huge, compressed } = use;
      const others = managed - (free + slabs + lru + pageTables + (vmalloced ?? 0) + (huge ?? 0) + compressed);
      const explained = uncounted(kernel, known);
      const left = others - explained;
      if (left < 0) {
        const message = `queues and rows hold ${explained} pages, but only ${others} are allocated: the dump changed while it was taken, or is damaged`;
        throw damaged(message);
      }
      const atBoot = present - managed;
      const figures = { ...use, atBoot, slabs, others, explained, left };
      return { status: 'counted', objects: left, bytes: left * kernel.facts.pageSize, figures };
    },
  };
}

/** Number of held pages that the kernel does not count as anyone's: for example pages of files. */
function uncounted(kernel: Kernel, known: Known): number {
  const counted = new CountedPages(kernel);
  let pages = 0;
  for (const { frame, order } of known.pages()) {
    if (!counted.has(frame)) pages += 2 ** (order ?? 0);
  }
  return pages;
}
