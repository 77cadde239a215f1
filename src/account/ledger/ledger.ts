import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { NapiReader } from '../../walk/network/gro.js';
import { neighbourSkbs } from '../../walk/network/neighbours.js';
import { QdiscReader } from '../../walk/network/qdisc.js';
import { fragmentSkbs } from '../../walk/network/reassembly.js';
import { softnetSkbs } from '../../walk/network/softnet.js';
import { xdpRings } from '../../walk/network/xdp-rings.js';
import { CountedPages } from '../../walk/pages/counted-pages.js';
import { keptFragPages } from '../../walk/pages/kept-frag-pages.js';
import { memoryUse } from '../../walk/pages/memory-use.js';
import { napiReserve } from '../../walk/pages/napi-reserve.js';
import type { NetworkPages } from '../../walk/pages/network-pages.js';
import type { FragPage } from '../../walk/pages/page-frag-cache.js';
import type { SkbCache } from '../../walk/pages/skb-caches.js';
import { freeInCaches } from '../../walk/pages/slab-usage.js';
import type { Tally } from '../tally.js';
import { blockOf, newPages } from './new-pages.js';
import { type AnyStep, type Known, type LedgerEntry, runSteps, type Step } from './pipeline.js';
import { receiveRings } from './receive-rings.js';
import type { SlabCode } from './row.js';
import { softwareRings } from './software-rings.js';
import { type LedgerTools, ledgerTools } from './tools.js';
import { packetsOf, waiting } from './waiting-packets.js';

/**
 * What of the network's memory is in no socket's queue: packets on their way through the machine,
 * pages kept to cut fragments from, receive rings; and whether any skb is left that nothing explains.
 *
 * @param seen what the scan over all page frames told
 * @param sockets what all sockets hold together
 * @param socks addresses of all of them
 */
export function* ledger(
  kernel: Kernel,
  seen: NetworkPages,
  sockets: Tally,
  socks: readonly bigint[],
): Generator<LedgerEntry> {
  const tools = ledgerTools(kernel, seen);
  // A row of rings that has none is left out.
  for (const entry of runSteps(kernel.facts.pageSize, sockets, inOrder(tools, socks)))
    if (entry.row.code !== 'xdp-rings' || entry.row.objects !== 0) yield entry;
}

/** The rows, as they are counted: the first that holds a page has it. */
function* inOrder(tools: LedgerTools, socks: readonly bigint[]): Generator<AnyStep> {
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
  // Then rings: not every engine knows the types of modules, and what it cannot walk it leaves as it is.
  yield* receiveRings(tools);
  yield* softwareRings(tools);
  yield xdpRingPages(tools);
  // What is left of all skbs, and of all pages.
  yield* slabRows(tools);
  yield otherPages(tools);
}

/** The row of what page pools own, lent or kept. */
function pagePools(tools: LedgerTools): Step<'page-pools'> {
  const { seen } = tools;
  return {
    code: 'page-pools',
    count(known) {
      if (!seen.knowsPools) return { status: 'not-walked' };
      if (!seen.complete) {
        throw new KernelError('damaged', 'some struct pages of the dump could not be read');
      }
      const { pages, bytes, holds } = newPages(tools, known, seen.poolPages);
      const figures = { owned: seen.poolPages.length, pages };
      return { status: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}

/** The row of queueing disciplines: what these keep in structures of their own is counted by them. */
function qdiscs(tools: LedgerTools): Step<'qdiscs'> {
  return {
    code: 'qdiscs',
    count(known) {
      const reader = new QdiscReader(tools.kernel, tools.lists);
      const putBack: bigint[] = [];
      let queued = 0;
      for (const device of tools.devices()) {
        for (const content of reader.ofDevice(device)) {
          queued += content.queued;
          putBack.push(...content.putBack);
        }
      }
      const found = packetsOf(tools, known, putBack);
      const packets = queued + found.packets;
      const bytes = queued === 0 ? found.bytes : null;
      const figures = { packets, queued };
      return { status: 'counted', objects: packets, bytes, figures, holds: found.holds };
    },
  };
}

/**
 * The row of AF_XDP sockets' rings. What is vmalloc'ed counts with the bytes that it takes: nobody
 * else has those pages.
 */
function xdpRingPages(tools: LedgerTools): Step<'xdp-rings'> {
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
          if (page === undefined) throw new KernelError('damaged', 'a ring has no struct page');
          pages.push(page);
        } else vmalloced += Math.ceil(ring.vmalloced / pageSize) * pageSize;
      }
      const { bytes, holds } = newPages(tools, known, pages);
      const figures = { rings, vmalloced: rings - pages.length };
      return { status: 'counted', objects: rings, bytes: bytes + vmalloced, figures, holds };
    },
  };
}

/** Rows of the slab caches of skbs and their heads; that of skbs is always one of them. */
function* slabRows(tools: LedgerTools): Generator<Step<SlabCode>> {
  const { skbCaches, noSkbCaches } = tools.seen;
  for (const cache of skbCaches)
    yield { code: cache.kind, count: (known) => slabObjects(tools, cache, known) };
  if (skbCaches.some(({ kind }) => kind === 'skbs')) return;
  const fail = () => {
    throw (
      noSkbCaches ?? new KernelError('unsupported-layout', 'this kernel has no known skb cache')
    );
  };
  yield { code: 'skbs', count: fail };
}

/**
 * Objects that the slabs of a cache count as in use, less those that were met in sockets and rows
 * before, and those kept in reserve.
 *
 * @throws {KernelError}, {@link ReadError} where they cannot be counted
 */
function slabObjects(
  { kernel, seen }: LedgerTools,
  cache: SkbCache,
  known: Known,
): ReturnType<Step<SlabCode>['count']> {
  const count = seen.usage.count(cache.address);
  if (!seen.complete || !count) {
    throw new KernelError('damaged', 'some slabs of the dump could not be read');
  }
  const used = count.inUse - freeInCaches(kernel, cache.address);
  const reserve = cache.kind === 'skbs' ? napiReserve(kernel) : 0;
  const met = known.slotsByCache().get(cache.address) ?? 0;
  const left = used - reserve - met;
  const figures = { used, reserve, met, left, merged: cache.merged };
  if (cache.merged) return { status: 'counted', objects: null, bytes: null, figures };
  if (left < 0) return { status: 'contradicted', figures };
  return { status: 'counted', objects: left, bytes: left * cache.size, figures };
}

/** The row of pages that CPUs, tasks and sockets keep to cut fragments from. */
function pageFragments(tools: LedgerTools, socks: readonly bigint[]): Step<'page-fragments'> {
  return {
    code: 'page-fragments',
    count(known) {
      const found = keptFragPages(tools.kernel, socks);
      const heads = new Set(found.map((one) => headOf(tools, one)));
      const shared = [...heads].filter((frame) => known.holdsPage(frame)).length;
      const { pages, bytes, holds } = newPages(
        tools,
        known,
        found.map(({ page }) => page),
      );
      const figures = { kept: heads.size, shared, pages };
      return { status: 'counted', objects: pages, bytes, figures, holds };
    },
  };
}

/**
 * The first frame of a page that is cut. Tasks and sockets note how large it is (skb_page_frag_refill).
 *
 * @throws as blockOf does; {@link KernelError} `damaged`
 */
function headOf({ kernel, pages }: LedgerTools, { page, size }: FragPage): number {
  const { frame, order } = blockOf(pages, page);
  const bytes = kernel.facts.pageSize * 2 ** (order ?? 0);
  if (size !== undefined && size !== bytes && !kernel.facts.live)
    throw new KernelError(
      'damaged',
      `a page_frag has ${size} bytes, but its page ${hex(page)} has ${bytes}`,
    );
  return frame;
}

/**
 * Where every page of the machine is. Whoever takes pages from the buddy allocator and is none of
 * those whom the kernel counts (slabs, files, processes, page tables, vmalloc) is the network, or
 * some other part of the kernel: how many of those are in no queue and no row bounds what of the
 * network's memory is not explained. Objects are base pages.
 */
function otherPages({ kernel, seen }: LedgerTools): Step<'other-pages'> {
  return {
    code: 'other-pages',
    count(known) {
      const slabs = seen.slabPages;
      if (slabs === undefined) {
        throw new KernelError('damaged', 'some slabs of the dump could not be read');
      }
      const { managed, ...use } = memoryUse(kernel);
      const { present, free, lru, pageTables, vmalloced, huge, compressed } = use;
      const others =
        managed - (free + slabs + lru + pageTables + (vmalloced ?? 0) + (huge ?? 0) + compressed);
      const explained = uncounted(kernel, known);
      const left = others - explained;
      if (left < 0) {
        const message = `queues and rows hold ${explained} pages, but only ${others} are allocated: the dump changed while it was taken, or is damaged`;
        throw new KernelError('damaged', message);
      }
      const atBoot = present - managed;
      const figures = { ...use, atBoot, slabs, others, explained, left };
      return { status: 'counted', objects: left, bytes: left * kernel.facts.pageSize, figures };
    },
  };
}

/** How many of the pages held are none that the kernel counts as somebody's: pages of files, say. */
function uncounted(kernel: Kernel, known: Known): number {
  const counted = new CountedPages(kernel);
  let pages = 0;
  for (const { frame, order } of known.pages()) {
    if (!counted.has(frame)) pages += 2 ** (order ?? 0);
  }
  return pages;
}
