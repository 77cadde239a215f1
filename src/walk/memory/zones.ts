import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { numberedNodes } from '../pages/memory-nodes.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';

/** A zone that has memory. Frames and pages are base pages. */
export interface Zone {
  /** Address of its `struct zone`. */
  readonly address: bigint;
  /** Address of the `pglist_data` that it is part of. */
  readonly node: bigint;
  /** Number of that node. */
  readonly nodeId: number;
  /** `DMA`, `DMA32`, `Normal`, `Movable` */
  readonly name: string;
  /** First page frame. */
  readonly start: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  /** Free blocks of each order, as the free lists count them (`free_area[order].nr_free`). */
  readonly freeBlocks: readonly number[];
  /** Free pages below which allocations wait or fail, and kswapd wakes and sleeps; null: not known. */
  readonly watermarks: { readonly min: number; readonly low: number; readonly high: number } | null;
}

/**
 * Zones of all NUMA nodes, in order, but those without memory (include/linux/mmzone.h).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function zones(kernel: Kernel): Zone[] {
  const reader = new StructReader(kernel, 'zone', [
    ...['zone_start_pfn', 'spanned_pages', 'present_pages', 'managed_pages'],
  ] as const);
  const { free_area: areas } = new StructReader(kernel, 'zone', ['free_area']).members;
  const area = new StructReader(kernel, 'free_area', ['nr_free']);
  // `watermark` before 5.0.
  const layout = kernel.struct('zone');
  const marks = layout?.member('_watermark') ?? layout?.member('watermark');
  const watermarksOf = (zone: bigint): Zone['watermarks'] => {
    if (!marks || (marks.count ?? 0) < 3) return null;
    const view = readPartOf(kernel, 'struct zone', zone, zone + BigInt(marks.offset), 24);
    const [min = 0, low = 0, high = 0] = [0, 8, 16].map((at) =>
      Number(view.getBigUint64(at, true)),
    );
    if (!(min <= low && low <= high)) {
      const message = `a zone has watermarks of ${min}, ${low} and ${high} pages`;
      throw new KernelError('damaged', message);
    }
    return { min, low, high };
  };
  const data = new StructReader(kernel, 'pglist_data', ['node_id']);
  const { node_zones: all } = new StructReader(kernel, 'pglist_data', ['node_zones']).members;
  const names = [...(kernel.enumerators('zone_type') ?? [])];
  return numberedNodes(kernel).flatMap(({ number, node }) => {
    const nodeId = data.read(node).number('node_id');
    if (nodeId !== number)
      throw new KernelError('damaged', `NUMA node ${number} says that it is node ${nodeId}`);
    const found: Zone[] = [];
    for (let index = 0; (index + 1) * reader.size <= all.size; index++) {
      const address = node + BigInt(all.offset + index * reader.size);
      const view = reader.read(address);
      const present = view.number('present_pages');
      if (present === 0) continue;
      const known = names.find(([, value]) => Number(value) === index)?.[0];
      const name = known?.replace(/^ZONE_/, '') ?? String(index);
      found.push({
        address,
        node,
        nodeId,
        present,
        name: name.length > 3 ? capitalized(name) : name,
        start: view.number('zone_start_pfn'),
        spanned: view.number('spanned_pages'),
        managed: view.number('managed_pages'),
        freeBlocks: Array.from({ length: areas.count ?? 0 }, (_, order) =>
          area.read(address + BigInt(areas.offset + order * area.size)).number('nr_free'),
        ),
        watermarks: watermarksOf(address),
      });
    }
    return found;
  });
}

/** ZONE_NORMAL is `Normal` in /proc/zoneinfo, ZONE_DMA32 `DMA32`. */
function capitalized(name: string): string {
  return name.startsWith('DMA') ? name : `${name[0]}${name.slice(1).toLowerCase()}`;
}

/** `pglist_data.first_deferred_pfn` of a node all of whose struct pages are initialized, or just being so. */
const NONE_DEFERRED = 2n ** 64n - 1n;

/**
 * Page frames whose struct pages the kernel had yet to initialize (CONFIG_DEFERRED_STRUCT_PAGE_INIT): the end of a
 * node. Only struct pages of what the boot reserved are initialized there.
 *
 * @throws {KernelError} `damaged`: they do not begin within their node
 */
export function deferredRanges(kernel: Kernel): { readonly start: number; readonly end: number }[] {
  if (!kernel.struct('pglist_data')?.member('first_deferred_pfn')) return [];
  const data = new StructReader(kernel, 'pglist_data', [
    ...['first_deferred_pfn', 'node_start_pfn', 'node_spanned_pages'],
  ] as const);
  return numberedNodes(kernel).flatMap(({ number, node }) => {
    // An extract need not have it.
    const view = readOrNot(() => data.read(node));
    const first = view?.pointer('first_deferred_pfn') ?? NONE_DEFERRED;
    if (!view || first === NONE_DEFERRED) return [];
    const from = view.number('node_start_pfn');
    const range = { start: Number(first), end: from + view.number('node_spanned_pages') };
    if (range.start >= from && range.start <= range.end) return [range];
    const message = `NUMA node ${number} has page frames ${from} to ${range.end}, and struct pages from ${first} on are not initialized (first_deferred_pfn)`;
    throw new KernelError('damaged', message);
  });
}
