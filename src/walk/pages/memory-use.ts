import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { numaNodes } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { memoryNodes } from './memory-nodes.js';
import { long, NodeCounters, ZoneCounters } from './vm-counters.js';

/** What a kernel's counters say of all of its memory, in base pages; slabs are not among them. */
export interface MemoryUse {
  /** All that the machine has. */
  readonly present: number;
  /** Of that, what the buddy allocator got: the rest was set aside while the machine booted. */
  readonly managed: number;
  /** In the buddy allocator, and in the lists that CPUs keep before it. */
  readonly free: number;
  /** On the LRU lists: of files, of processes' own memory, shared. */
  readonly lru: number;
  readonly pageTables: number;
  /** Undefined where this kernel's count of them is not found. */
  readonly vmalloced: number | undefined;
  /** hugetlb's; undefined as above. */
  readonly huge: number | undefined;
  /** zsmalloc's. */
  readonly compressed: number;
}

/** Of the LRU lists, by `enum node_stat_item`; what CPUs have yet to put on one is not counted. */
const LRU = [
  ...['NR_INACTIVE_ANON', 'NR_ACTIVE_ANON', 'NR_INACTIVE_FILE', 'NR_ACTIVE_FILE'],
  'NR_UNEVICTABLE',
];

/** Sizes of huge pages that a kernel can have (HUGE_MAX_HSTATE). */
const MOST_SIZES = 16;

/** log2 of base pages: far above the largest huge page (16 GiB), and a sum of such is still exact. */
const MOST_ORDER = 30;

/** 2^52 bytes of physical addresses in pages of 4 KiB. */
const MOST_PAGES = 2 ** 40;

/**
 * Adds up what zones and nodes count, with what CPUs have counted and not added (mm/vmstat.c), which
 * makes the sums exact. What a kernel has no counter for, and so none of, is 0.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function memoryUse(kernel: Kernel): MemoryUse {
  const nodes = new NodeCounters(kernel);
  const zones = new ZoneCounters(kernel);
  const sum = { present: 0, managed: 0, free: 0, lru: 0, pageTables: 0, compressed: 0 };
  // A variable of its own up to 6.18.
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
    const message = `nodes have ${onNodes} pages, and their zones ${sum.present}`;
    throw new KernelError('damaged', message);
  }
  const use = { ...sum, vmalloced, huge: hugePages(kernel) };
  for (const [name, pages] of Object.entries(use)) {
    if (pages === undefined || (pages >= 0 && pages <= MOST_PAGES)) continue;
    throw new KernelError('damaged', `the machine counts ${pages} pages (${name})`);
  }
  const counted = variable !== undefined || nodes.has('NR_VMALLOC');
  return { ...use, vmalloced: counted ? vmalloced : undefined };
}

/** Undefined if either is not known. */
function sumOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}

/** `hstates[hugetlb_max_hstate]` (mm/hugetlb.c): pages of each size, used or not. */
export function hugePages(kernel: Kernel): number | undefined {
  if (!kernel.struct('hstate')?.member('nr_huge_pages')) return 0;
  const [states, count] = [kernel.symbol('hstates'), kernel.symbol('hugetlb_max_hstate')];
  if (states === undefined || count === undefined) return undefined;
  const sizes = readPartOf(kernel, 'hugetlb_max_hstate', count, count, 4).getUint32(0, true);
  if (sizes > MOST_SIZES) throw new KernelError('damaged', `${sizes} sizes of huge pages`);
  const reader = new StructReader(kernel, 'hstate', ['order', 'nr_huge_pages']);
  let pages = 0;
  for (let index = 0; index < sizes; index++) {
    const state = reader.read(states + BigInt(index * reader.size));
    const order = state.number('order');
    // None is in use before its order is set; and 0 pages of 2^(2^32) would be no number.
    if (order < 1 || order > MOST_ORDER) {
      throw new KernelError('damaged', `huge pages of order ${order}`);
    }
    const all = state.number('nr_huge_pages');
    const onNodes = hugeOnNodes(kernel, state.address);
    if (onNodes !== undefined && onNodes !== all) {
      throw new KernelError('damaged', `${all} huge pages, and ${onNodes} on the nodes`);
    }
    pages += all * 2 ** order;
  }
  return pages;
}

/** The same of one size, node by node (`nr_huge_pages_node`); undefined where the dump lacks it. */
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
