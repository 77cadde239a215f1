import { damaged, KernelError, ReadError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import type { ZoneRecord } from '../../records/machine-sample.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { changingListNodes, listNodes } from '../list.js';
import { readUntilConsistent } from '../live-reads.js';
import { readPartOf } from '../named-read.js';
import { memberOf, pagesPerChunk, struct } from '../pages/struct-page.js';
import { long, memoryNodes, NodeCounters, numberedNodes, ZoneCounters } from '../pages/vm-counters.js';
import { StructReader } from '../struct-reader.js';
import { KIND, kindTest } from './page-kinds.js';

/** A zone with memory. */
export interface Zone extends ZoneRecord {
  /** Address of its `struct zone`. */
  readonly address: bigint;
  /** Address of the `pglist_data` of its node. */
  readonly node: bigint;
}

/** Zones of all NUMA nodes that have memory, in order (include/linux/mmzone.h). */
export function zones(kernel: Kernel): Zone[] {
  const reader = new StructReader(kernel, 'zone', [
    'zone_start_pfn',
    'spanned_pages',
    'present_pages',
    'managed_pages',
  ] as const);
  const { free_area: areas } = new StructReader(kernel, 'zone', ['free_area']).members;
  const { count: orders } = areas;
  if (!orders) throw unsupportedLayout('the types of this kernel do not say how many free lists a zone has');
  const area = new StructReader(kernel, 'free_area', ['nr_free']);
  // `watermark` before 5.0.
  const layout = kernel.struct('zone');
  const marks = layout?.member('_watermark') ?? layout?.member('watermark');
  const watermarksOf = (zone: bigint): Zone['watermarks'] => {
    if (!marks || (marks.count ?? 0) < 3) return null;
    const view = readPartOf(kernel, 'struct zone', zone, zone + BigInt(marks.offset), 24);
    const [min = 0, low = 0, high = 0] = [0, 8, 16].map((at) => Number(view.getBigUint64(at, true)));
    if (!(min <= low && low <= high)) {
      throw damaged(`a zone has watermarks of ${min}, ${low} and ${high} pages`);
    }
    return { min, low, high };
  };
  const data = new StructReader(kernel, 'pglist_data', ['node_id']);
  const { node_zones: all } = new StructReader(kernel, 'pglist_data', ['node_zones']).members;
  const names = [...(kernel.enumerators('zone_type') ?? [])];
  return numberedNodes(kernel).flatMap(({ number, node }) => {
    const nodeId = data.read(node).number('node_id');
    if (nodeId !== number) throw damaged(`NUMA node ${number} says that it is node ${nodeId}`);
    const withMemory: Zone[] = [];
    for (let index = 0; (index + 1) * reader.size <= all.size; index++) {
      const address = node + BigInt(all.offset + index * reader.size);
      const view = reader.read(address);
      const present = view.number('present_pages');
      if (present === 0) continue;
      const known = names.find(([, value]) => Number(value) === index)?.[0];
      const name = known?.replace(/^ZONE_/, '') ?? String(index);
      withMemory.push({
        address,
        node,
        nodeId,
        present,
        name: name.length > 3 ? capitalized(name) : name,
        start: view.number('zone_start_pfn'),
        spanned: view.number('spanned_pages'),
        managed: view.number('managed_pages'),
        freeBlocks: Array.from({ length: orders }, (_, order) =>
          area.read(address + BigInt(areas.offset + order * area.size)).number('nr_free'),
        ),
        watermarks: watermarksOf(address),
      });
    }
    return withMemory;
  });
}

/** Spells a zone name as /proc/zoneinfo does: ZONE_NORMAL is `Normal`, ZONE_DMA32 `DMA32`. */
function capitalized(name: string): string {
  return name.startsWith('DMA') ? name : `${name[0]}${name.slice(1).toLowerCase()}`;
}

/**
 * `pglist_data.first_deferred_pfn` of a node whose struct pages are all initialized, or being initialized.
 */
const NONE_DEFERRED = 2n ** 64n - 1n;

/**
 * Page frames at the end of a node whose struct pages the kernel had not initialized yet
 * (CONFIG_DEFERRED_STRUCT_PAGE_INIT). Only struct pages of memory reserved at boot are initialized there.
 *
 * @throws {KernelError} `damaged` if such a range does not begin within its node
 */
export function deferredRanges(kernel: Kernel): { readonly start: number; readonly end: number }[] {
  if (!kernel.struct('pglist_data')?.member('first_deferred_pfn')) return [];
  const data = new StructReader(kernel, 'pglist_data', [
    'first_deferred_pfn',
    'node_start_pfn',
    'node_spanned_pages',
  ] as const);
  return numberedNodes(kernel).flatMap(({ number, node }) => {
    // An extract may lack it.
    const view = readOrNot(() => data.read(node));
    const first = view?.pointer('first_deferred_pfn') ?? NONE_DEFERRED;
    if (!view || first === NONE_DEFERRED) return [];
    const from = view.number('node_start_pfn');
    const range = { start: Number(first), end: from + view.number('node_spanned_pages') };
    if (range.start >= from && range.start <= range.end) return [range];
    const message = `NUMA node ${number} has page frames ${from} to ${range.end}, and struct pages from ${first} on are not initialized (first_deferred_pfn)`;
    throw damaged(message);
  });
}

/**
 * MemAvailable of /proc/meminfo, the kernel's estimate of memory that programs can use without swapping, in
 * base pages (si_mem_available, mm/show_mem.c): free pages less reserves, plus page cache and reclaimable
 * slab, each reduced by the low watermarks or by half, whichever is less. Undefined if the watermarks are
 * unknown.
 */
export function availablePages(kernel: Kernel): number | undefined {
  const at = needSymbol(kernel, 'totalreserve_pages');
  const reserved = long(kernel, 'totalreserve_pages', at, 0n);
  const places = zones(kernel);
  if (places.some(({ watermarks }) => watermarks === null)) return undefined;
  let low = places.reduce((sum, { watermarks }) => sum + (watermarks?.low ?? 0), 0);
  // Boost of all watermarks by fragmentation (since 5.0).
  const boost = kernel.struct('zone')?.member('watermark_boost');
  if (boost) {
    const zone = new StructReader(kernel, 'zone', ['watermark_boost']);
    for (const { address } of places) {
      const place = zone.addressOf(address, 'watermark_boost');
      low += Number(readPartOf(kernel, 'struct zone', address, place, 8).getBigUint64(0, true));
    }
  }
  const [nodes, counters] = [new NodeCounters(kernel), new ZoneCounters(kernel)];
  const sum = (...items: string[]) =>
    memoryNodes(kernel).reduce((all, node) => items.reduce((pages, item) => pages + nodes.item(node, item), all), 0);
  const reclaimable = 'NR_SLAB_RECLAIMABLE_B';
  if (!nodes.has(reclaimable)) throw unsupportedLayout('this kernel does not count reclaimable slabs');
  const free = places.reduce((pages, { address }) => pages + counters.item(address, 'NR_FREE_PAGES'), 0);
  const less = (pages: number) => pages - Math.min(Math.trunc(pages / 2), low);
  const files = less(sum('NR_ACTIVE_FILE', 'NR_INACTIVE_FILE'));
  const slabs = less(sum(reclaimable, 'NR_KERNEL_MISC_RECLAIMABLE'));
  // The kernel also reports a negative result as 0.
  return Math.max(0, free - reserved + files + slabs);
}

/** A free block on a per-CPU free list, outside the buddy allocator. */
export interface ListedBlock {
  readonly frame: number;
  /** log2 of its base pages. */
  readonly order: number;
}

/** Retries after changes of a list. */
const TRIES = 3;

/** PAGE_ALLOC_COSTLY_ORDER: each order up to it has its own lists (5.13). */
const COSTLY_ORDER = 3;

/**
 * Free pages on per-CPU free lists (`per_cpu_pages`), which have no counter and no page flag.
 *
 * @throws {KernelError} `damaged` if the number of pages on the lists differs from their count, `no-symbols`,
 * `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function* cpuLists(kernel: Kernel): Generator<ListedBlock> {
  // Separate from the CPU's counters since 5.14.
  const own = kernel.struct('zone')?.member('per_cpu_pageset') !== undefined;
  const pointer = own ? 'per_cpu_pageset' : 'pageset';
  const [type, within] = own ? ['per_cpu_pages', ''] : ['per_cpu_pageset', 'pcp.'];
  const lists = new StructReader(kernel, type, [`${within}lists`]).members[`${within}lists`]!;
  const count = new StructReader(kernel, type, [`${within}count`]);
  const zone = new StructReader(kernel, 'zone', [pointer]);
  const page = struct(kernel, 'page');
  const node = BigInt((page.member('pcp_list') ?? memberOf(page, 'lru')).offset);
  const types = Number(kernel.enumerators('migratetype')?.get('MIGRATE_PCPTYPES') ?? lists.count);
  const at = new Pointer();
  for (const { address } of zones(kernel)) {
    const first = zone.read(address).pointer(pointer);
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const area = perCpuAddress(kernel, first, cpu);
      const counted = count.read(area).number(`${within}count`);
      // The list of a running kernel changes between two reads.
      const most = kernel.facts.live ? MAX_LISTED : counted;
      let found = 0;
      for (let index = 0; index < (lists.count ?? 0); index++) {
        const order = orderOfList(kernel, index, types);
        const head = area + BigInt(lists.offset + index * 16);
        // A list that was never set up: its CPU does not exist.
        if (readPartOf(kernel, 'the list', head, head, 8).getBigUint64(0, true) === 0n) continue;
        const room = (most - found) / 2 ** order;
        const frames = readUntilConsistent(
          kernel,
          () => {
            const all: number[] = [];
            for (const link of changingListNodes(kernel, head)) {
              const frame = kernel.pages.frameOfPage(at.set(link - node));
              if (frame < 0) throw damaged(`CPU ${cpu} lists what is no page`);
              all.push(frame);
              if (all.length > room) break;
            }
            return all;
          },
          TRIES,
        );
        found += frames.length * 2 ** order;
        for (const frame of frames) yield { frame, order };
      }
      if (found !== counted && !kernel.facts.live) {
        const message = `CPU ${cpu} counts ${counted} free pages in its lists, and ${found > counted ? 'more' : found} are there`;
        throw damaged(message);
      }
    }
  }
}

/** The frames of {@link cpuLists}. */
export function* cpuListFrames(kernel: Kernel): Generator<number> {
  for (const { frame, order } of cpuLists(kernel)) for (let at = 0; at < 2 ** order; at++) yield frame + at;
}

/** Free blocks on the lists of the buddy allocator, in ascending order, with no list or block that contradicts another. */
export class FreeLists {
  readonly blocks: readonly ListedBlock[];

  /**
   * Follows the lists of blocks of at least an order (`zone.free_area`). The kernel must not be running. Each block is
   * free by two facts: the order of its list, and type and order in its `struct page`; each list has its count.
   *
   * @throws {KernelError} `damaged` if they differ, `no-symbols`, `unsupported-layout`; {@link TornList};
   * {@link ReadError}
   */
  constructor(kernel: Kernel, atLeast: number) {
    const zone = new StructReader(kernel, 'zone', ['free_area']).members.free_area;
    const area = new StructReader(kernel, 'free_area', ['free_list']);
    const lists = area.members.free_list;
    const page = struct(kernel, 'page');
    const node = BigInt((page.member('buddy_list') ?? memberOf(page, 'lru')).offset);
    const orderAt = memberOf(page, 'private').offset;
    const kindOf = kindTest(kernel);
    const pages = new Cursor(kernel, 'struct page');
    const at = new Pointer();
    const blocks: ListedBlock[] = [];
    for (const { address, start, spanned, freeBlocks } of zones(kernel))
      for (let order = atLeast; order < freeBlocks.length; order++) {
        const heads = address + BigInt(zone.offset + order * area.size + lists.offset);
        let found = 0;
        for (let type = 0; type < (lists.count ?? 0); type++)
          for (const link of listNodes(kernel, heads + BigInt(type * 16))) {
            const first = link - node;
            const frame = kernel.pages.frameOfPage(at.set(first));
            const isInZone = frame >= start && frame + 2 ** order <= start + spanned && frame % 2 ** order === 0;
            const { view, base } = pages.to(first).look(0, page.size);
            if (!isInZone || kindOf(view, base) !== KIND.free || view.getUint32(base + orderAt, true) !== order)
              throw damaged(`the struct page at ${hex(first)} is listed as a free block of order ${order}`);
            blocks.push({ frame, order });
            if (++found > freeBlocks[order]!) break;
          }
        if (found !== freeBlocks[order])
          throw damaged(`a zone counts ${freeBlocks[order]} free blocks of order ${order}, and ${found} are listed`);
      }
    this.blocks = blocks.sort((a, b) => a.frame - b.frame);
    const overlaps = this.blocks.some(({ frame }, index) => frame < endOf(this.blocks[index - 1]));
    if (overlaps) throw damaged('free blocks overlap');
  }

  /**
   * The lists of blocks as large as a scan of struct pages reads at a time. Undefined for a running kernel, and where lists
   * or blocks contradict each other: then every struct page has to be read.
   */
  static of(kernel: Kernel): FreeLists | undefined {
    if (kernel.facts.live) return undefined;
    try {
      return new FreeLists(kernel, Math.ceil(Math.log2(pagesPerChunk(struct(kernel, 'page').size))));
    } catch (error) {
      if (error instanceof KernelError || error instanceof ReadError) return undefined;
      throw error;
    }
  }

  /** Number of frames in all blocks. */
  get frames(): number {
    return this.blocks.reduce((sum, { order }) => sum + 2 ** order, 0);
  }

  /** The blocks that contain some consecutive frames; none if one of these is outside. */
  around(frame: number, count: number): readonly ListedBlock[] {
    let [low, high] = [0, this.blocks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(this.blocks[middle]) > frame) high = middle;
      else low = middle + 1;
    }
    let last = low;
    for (let next = frame; next < frame + count; last++) {
      const block = this.blocks[last];
      if (block === undefined || block.frame > next) return [];
      next = endOf(block);
    }
    return this.blocks.slice(low, last);
  }
}

function endOf(block: ListedBlock | undefined): number {
  return block === undefined ? 0 : block.frame + 2 ** block.order;
}

/** Maximum number of base pages on the lists of one CPU: 64 GiB. */
const MAX_LISTED = 2 ** 24;

/** Inverse of order_to_pindex. The lists after those of the orders are for huge pages (5.13). */
function orderOfList(kernel: Kernel, index: number, types: number): number {
  const order = Math.floor(index / types);
  return order <= COSTLY_ORDER ? order : Math.log2(kernel.facts.pageSize) - 3;
}

/** Per-CPU variables that contain batches. The type of each has the same name. */
const VARIABLES = ['cpu_fbatches', 'lru_pvecs', 'lru_rotate', 'mlock_fbatch'] as const;

/** Per-CPU variables that are one batch each (before 5.8). */
const PAGEVECS = [
  'lru_add_pvec',
  'lru_rotate_pvecs',
  'lru_deactivate_file_pvecs',
  'lru_deactivate_pvecs',
  'lru_lazyfree_pvecs',
  'activate_page_pvecs',
] as const;

/** Member with the pages of a batch, by the batch's type: `pagevec` before 6.0, `folio_batch` since then. */
const BATCHES = { pagevec: 'pages', folio_batch: 'folios' } as const;

/**
 * Addresses of the `struct page`s in per-CPU batches, which are not on an LRU list yet (mm/swap.c). A batch
 * holds a reference to each page. The process may have exited since.
 *
 * @returns undefined if no batch variables are found in the kernel
 */
export function batchedPages(kernel: Kernel): ReadonlySet<bigint> | undefined {
  const pages = new Set<bigint>();
  const batches = [...batchPlaces(kernel)];
  for (const { variable, offset, type } of batches) {
    const entries = BATCHES[type];
    const batch = new StructReader(kernel, type, ['nr', entries]);
    const place = batch.members[entries];
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const base = perCpuAddress(kernel, variable, cpu) + BigInt(offset);
      const count = Math.min(batch.read(base).number('nr'), place.count ?? 0);
      const at = base + BigInt(place.offset);
      const words = readPartOf(kernel, 'a batch of pages', base, at, 8 * count);
      for (let index = 0; index < count; index++) pages.add(words.getBigUint64(8 * index, true));
    }
  }
  return batches.length > 0 ? pages : undefined;
}

interface BatchPlace {
  /** Address of a per-CPU variable. */
  readonly variable: bigint;
  /** Offset in that variable, in bytes. */
  readonly offset: number;
  readonly type: keyof typeof BATCHES;
}

function* batchPlaces(kernel: Kernel): Generator<BatchPlace> {
  for (const name of PAGEVECS) {
    const variable = kernel.symbol(name);
    if (variable !== undefined) yield { variable, offset: 0, type: 'pagevec' };
  }
  for (const name of VARIABLES) {
    const variable = kernel.symbol(name);
    const layout = kernel.struct(name);
    if (variable === undefined || !layout) continue;
    for (const path of layout.members) {
      const member = layout.member(path);
      if (!member || !(member.type in BATCHES) || member.pointer) continue;
      yield { variable, offset: member.offset, type: member.type as keyof typeof BATCHES };
    }
  }
}
