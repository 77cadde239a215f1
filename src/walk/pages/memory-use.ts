import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { numaNodes } from '../cpus.js';
import { readOrNot, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { long, memoryNodes, NodeCounters, ZoneCounters } from './vm-counters.js';

/** A kernel's counters of all its memory, in base pages, without slabs. */
export interface MemoryUse {
  /** All pages of the machine. */
  readonly present: number;
  /** Part managed by the buddy allocator: the remainder was reserved at boot. */
  readonly managed: number;
  /** Free pages, in the buddy allocator and on per-CPU free lists. */
  readonly free: number;
  /** On the LRU lists: file pages, anonymous pages, shared memory. */
  readonly lru: number;
  readonly pageTables: number;
  /** vmalloc pages; undefined if this kernel's counter is not found. */
  readonly vmalloced: number | undefined;
  /** hugetlb pages; undefined as above. */
  readonly huge: number | undefined;
  /** zsmalloc pages. */
  readonly compressed: number;
}

/** LRU counters, by `enum node_stat_item`; pages still in per-CPU batches are not counted. */
const LRU = [
  ...['NR_INACTIVE_ANON', 'NR_ACTIVE_ANON', 'NR_INACTIVE_FILE', 'NR_ACTIVE_FILE'],
  'NR_UNEVICTABLE',
];

/** Maximum number of huge page sizes of a kernel (HUGE_MAX_HSTATE). */
const MOST_SIZES = 16;

/** Maximum order of huge pages: far above the largest (16 GiB), but sums of such pages are still exact. */
const MOST_ORDER = 30;

/** Maximum number of pages: 2^52 bytes of physical addresses in pages of 4 KiB. */
const MOST_PAGES = 2 ** 40;

/**
 * Sums the counters of zones and nodes, including the CPUs' pending differences (mm/vmstat.c), so that the
 * sums are exact. Figures without a counter in this kernel are 0.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function memoryUse(kernel: Kernel): MemoryUse {
  const nodes = new NodeCounters(kernel);
  const zones = new ZoneCounters(kernel);
  const sum = { present: 0, managed: 0, free: 0, lru: 0, pageTables: 0, compressed: 0 };
  // A separate variable up to 6.18.
  const variable = kernel.symbol('nr_vmalloc_pages');
  let vmalloced = variable === undefined ? 0 : long(kernel, 'nr_vmalloc_pages', variable, 0n);
  let onNodes: number | undefined = 0;
  for (const node of memoryNodes(kernel)) {
    for (const item of LRU) sum.lru += nodes.item(node, item);
    sum.pageTables += nodes.item(node, 'NR_PAGETABLE') + nodes.item(node, 'NR_SECONDARY_PAGETABLE');
    vmalloced += nodes.item(node, 'NR_VMALLOC');
    for (const zone of zones.of(node)) {
      sum.present += zone.present;
      sum.managed += zone.managed;
      sum.free += zone.onCpus + zones.item(zone.address, 'NR_FREE_PAGES');
      sum.pageTables += zones.item(zone.address, 'NR_PAGETABLE');
      sum.compressed += zones.item(zone.address, 'NR_ZSPAGES');
    }
    onNodes = sumOf(onNodes, nodes.present(node));
  }
  if (onNodes !== undefined && onNodes !== sum.present) {
    throw damaged(`nodes have ${onNodes} pages, and their zones ${sum.present}`);
  }
  const use = { ...sum, vmalloced, huge: hugePages(kernel) };
  for (const [name, pages] of Object.entries(use)) {
    if (pages === undefined || (pages >= 0 && pages <= MOST_PAGES)) continue;
    throw damaged(`the machine counts ${pages} pages (${name})`);
  }
  const counted = variable !== undefined || nodes.has('NR_VMALLOC');
  return { ...use, vmalloced: counted ? vmalloced : undefined };
}

/** Undefined if either is unknown. */
function sumOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

/** `hstates[hugetlb_max_hstate]` (mm/hugetlb.c): pages of each size, used or not. */
export function hugePages(kernel: Kernel): number | undefined {
  if (!kernel.struct('hstate')?.member('nr_huge_pages')) return 0;
  const [states, count] = [kernel.symbol('hstates'), kernel.symbol('hugetlb_max_hstate')];
  if (states === undefined || count === undefined) return undefined;
  const sizes = readPartOf(kernel, 'hugetlb_max_hstate', count, count, 4).getUint32(0, true);
  if (sizes > MOST_SIZES) throw damaged(`${sizes} sizes of huge pages`);
  const reader = new StructReader(kernel, 'hstate', ['order', 'nr_huge_pages']);
  let pages = 0;
  for (let index = 0; index < sizes; index++) {
    const state = reader.read(reader.element(states, index));
    const order = state.number('order');
    // An unused entry has no order yet, and a huge order would overflow.
    if (order < 1 || order > MOST_ORDER) throw damaged(`huge pages of order ${order}`);
    const all = state.number('nr_huge_pages');
    const onNodes = hugeOnNodes(kernel, state.address);
    if (onNodes !== undefined && onNodes !== all) {
      throw damaged(`${all} huge pages, and ${onNodes} on the nodes`);
    }
    pages += all * 2 ** order;
  }
  return pages;
}

/** The same for one size, node by node (`nr_huge_pages_node`); undefined if the dump lacks it. */
function hugeOnNodes(kernel: Kernel, state: bigint): number | undefined {
  const counts = kernel.struct('hstate')?.member('nr_huge_pages_node');
  if (!counts) return undefined;
  const nodes = Math.min(numaNodes(kernel), counts.count ?? 1);
  const at = state + BigInt(counts.offset);
  const view = readOrNot(() => readPartOf(kernel, 'struct hstate', state, at, 4 * nodes));
  let sum = 0;
  for (let node = 0; view && node < nodes; node++) sum += view.getUint32(4 * node, true);
  return view && sum;
}
