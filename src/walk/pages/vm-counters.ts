import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, numaNodes, perCpuAddress } from '../cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Names of counters before 5.9. */
const FORMERLY = {
  NR_SLAB_RECLAIMABLE_B: 'NR_SLAB_RECLAIMABLE',
  NR_SLAB_UNRECLAIMABLE_B: 'NR_SLAB_UNRECLAIMABLE',
} as const;

/** Counters `vm_stat[item]` with pending per-CPU differences, an s8 for each item. */
class Counters {
  readonly #kernel: Kernel;
  readonly #owner;
  readonly #items: ReadonlyMap<string, bigint>;
  readonly #diffs: { readonly pointer: bigint; readonly type: string; readonly first: number };
  readonly #cpus: readonly number[];

  /** @param diffs per-CPU struct that the owner's `member` points to, and the path of its array of items */
  constructor(
    kernel: Kernel,
    owner: string,
    items: string,
    { member, type, path }: { member: string; type: string; path: string },
  ) {
    this.#kernel = kernel;
    this.#owner = new StructReader(kernel, owner, ['vm_stat', member]);
    const { members } = new StructReader(kernel, type, [path]);
    this.#diffs = { pointer: BigInt(this.#owner.offset(member)), type, first: members[path]!.offset };
    const named = kernel.enumerators(items);
    if (!named) throw unsupportedLayout(`this kernel has no enum ${items}`);
    this.#items = new Map([
      ...Object.entries(FORMERLY).flatMap(([name, former]) => {
        const item = named.get(former);
        return item === undefined ? [] : [[name, item] as const];
      }),
      ...named,
    ]);
    this.#cpus = cpuMask(kernel, '__cpu_possible_mask');
  }

  has(name: string): boolean {
    return this.#items.has(name);
  }

  /** Value of a counter; 0 if the kernel has no such counter. */
  item(owner: bigint, name: string): number {
    const item = this.#items.get(name);
    const array = this.#owner.members.vm_stat;
    if (item === undefined) return 0;
    if (Number(item) >= (array?.count ?? 0)) {
      throw unsupportedLayout(`vm_stat has no place for ${name}`);
    }
    const whole = `struct ${this.#owner.name}`;
    let sum = long(this.#kernel, whole, owner, BigInt(array!.offset) + 8n * item);
    const perCpu = pointerPartOf(this.#kernel, whole, owner, owner + this.#diffs.pointer);
    for (const cpu of this.#cpus) {
      const own = perCpuAddress(this.#kernel, perCpu, cpu);
      const at = own + BigInt(this.#diffs.first) + item;
      sum += readPartOf(this.#kernel, `struct ${this.#diffs.type}`, own, at, 1).getInt8(0);
    }
    return sum;
  }
}

/**
 * Counters of NUMA nodes: `enum node_stat_item`. Slab counters have their names since 5.9. All values are in
 * pages.
 */
export class NodeCounters extends Counters {
  readonly #node: StructReader<'node_present_pages'>;

  constructor(kernel: Kernel) {
    const diffs = { type: 'per_cpu_nodestat', path: 'vm_node_stat_diff' };
    super(kernel, 'pglist_data', 'node_stat_item', { member: 'per_cpu_nodestats', ...diffs });
    this.#node = new StructReader(kernel, 'pglist_data', ['node_present_pages']);
  }

  /**
   * Number of pages of all zones of a node, updated together with the zones; undefined if the dump lacks it.
   */
  present(node: bigint): number | undefined {
    return readOrNot(() => this.#node.read(node).number('node_present_pages'));
  }
}

interface Zone {
  readonly address: bigint;
  readonly present: number;
  readonly managed: number;
  /** Free pages on per-CPU free lists. */
  readonly onCpus: number;
}

/** Counters of zones: `enum zone_stat_item`. */
export class ZoneCounters extends Counters {
  readonly #kernel: Kernel;
  readonly #node;
  readonly #zone;
  readonly #lists: { readonly pointer: bigint; readonly count: (cpu: bigint) => number };

  /** Since 5.14 a CPU's free pages and its counters are in separate structs. */
  constructor(kernel: Kernel) {
    const apart = kernel.struct('zone')?.member('per_cpu_zonestats') !== undefined;
    super(kernel, 'zone', 'zone_stat_item', {
      member: apart ? 'per_cpu_zonestats' : 'pageset',
      type: apart ? 'per_cpu_zonestat' : 'per_cpu_pageset',
      path: 'vm_stat_diff',
    });
    this.#kernel = kernel;
    this.#node = new StructReader(kernel, 'pglist_data', ['node_zones']);
    const pointer = apart ? 'per_cpu_pageset' : 'pageset';
    this.#zone = new StructReader(kernel, 'zone', ['present_pages', 'managed_pages', pointer]);
    const [type, path] = apart ? ['per_cpu_pages', 'count'] : ['per_cpu_pageset', 'pcp.count'];
    const list = new StructReader(kernel, type, [path]);
    this.#lists = {
      pointer: BigInt(this.#zone.offset(pointer)),
      // A signed int.
      count: (cpu) => list.read(cpu).number(path) | 0,
    };
  }

  /** Zones with memory. */
  *of(node: bigint): Generator<Zone> {
    const { offset, size } = this.#node.members.node_zones;
    const cpus = cpuMask(this.#kernel, '__cpu_possible_mask');
    for (let at = 0; at < size; at += this.#zone.size) {
      const address = node + BigInt(offset + at);
      const pages = (member: 'present_pages' | 'managed_pages'): number =>
        long(this.#kernel, 'struct zone', address, BigInt(this.#zone.offset(member)));
      const present = pages('present_pages');
      if (present === 0) continue;
      const managed = pages('managed_pages');
      const { pointer, count } = this.#lists;
      const lists = pointerPartOf(this.#kernel, 'struct zone', address, address + pointer);
      let onCpus = 0;
      for (const cpu of cpus) {
        onCpus += count(perCpuAddress(this.#kernel, lists, cpu));
      }
      yield { address, present, managed, onCpus };
    }
  }
}

/** Reads a signed word of a struct: counters may be negative temporarily. */
export function long(kernel: Kernel, whole: string, at: bigint, offset: bigint): number {
  return Number(readPartOf(kernel, whole, at, at + offset, 8).getBigInt64(0, true));
}

/** Pages that graphics drivers use, and pages that they keep for reuse (7.1). */
const ITEMS = ['NR_GPU_ACTIVE', 'NR_GPU_RECLAIM'] as const;

/**
 * Base pages of graphics drivers, as the kernel counts them: their page frames do not show the owner.
 * Undefined if the kernel does not count them.
 */
export function gpuPages(kernel: Kernel, counters = new NodeCounters(kernel)): number | undefined {
  const items = ITEMS.filter((item) => counters.has(item));
  if (items.length === 0) return undefined;
  let pages = 0;
  for (const node of memoryNodes(kernel)) for (const item of items) pages += counters.item(node, item);
  return pages;
}

/** Address of the `pglist_data` of each NUMA node, which describes its memory. */
export function memoryNodes(kernel: Kernel): bigint[] {
  return numberedNodes(kernel).map(({ node }) => node);
}

/** The same, with the node numbers. @throws as {@link memoryNodes} */
export function numberedNodes(kernel: Kernel): { readonly number: number; readonly node: bigint }[] {
  const single = kernel.symbol('contig_page_data');
  if (single !== undefined) return [{ number: 0, node: single }];
  const at = needSymbol(kernel, 'node_data');
  const table = readPartOf(kernel, 'node_data', at, at, 8 * numaNodes(kernel));
  const all = Array.from({ length: table.byteLength / 8 }, (_, number) => ({
    number,
    node: table.getBigUint64(8 * number, true),
  }));
  return all.filter(({ node }) => node !== 0n);
}

/** A kernel's counters of all its memory, in base pages, without slabs. */
interface MemoryUse {
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
const LRU = ['NR_INACTIVE_ANON', 'NR_ACTIVE_ANON', 'NR_INACTIVE_FILE', 'NR_ACTIVE_FILE', 'NR_UNEVICTABLE'];

/** Maximum number of huge page sizes of a kernel (HUGE_MAX_HSTATE). */
const MAX_SIZES = 16;

/** Maximum order of huge pages: far above the largest (16 GiB), but sums of such pages are still exact. */
const MAX_ORDER = 30;

/** Maximum number of pages: 2^52 bytes of physical addresses in pages of 4 KiB. */
const MAX_PAGES = 2 ** 40;

/**
 * Sums the counters of zones and nodes, including the CPUs' pending differences (mm/vmstat.c), so that the
 * sums are exact. Figures without a counter in this kernel are 0.
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
    if (pages === undefined || (pages >= 0 && pages <= MAX_PAGES)) continue;
    throw damaged(`the machine counts ${pages} pages (${name})`);
  }
  const counted = variable !== undefined || nodes.has('NR_VMALLOC');
  return { ...use, vmalloced: counted ? vmalloced : undefined };
}

/** Undefined if either is unknown. */
function sumOf(first: number | undefined, other: number | undefined): number | undefined {
  return first === undefined || other === undefined ? undefined : first + other;
}

/** `hstates[hugetlb_max_hstate]` (mm/hugetlb.c): pages of each size, used or not. */
export function hugePages(kernel: Kernel): number | undefined {
  if (!kernel.struct('hstate')?.member('nr_huge_pages')) return 0;
  const [states, count] = [kernel.symbol('hstates'), kernel.symbol('hugetlb_max_hstate')];
  if (states === undefined || count === undefined) return undefined;
  const sizes = readPartOf(kernel, 'hugetlb_max_hstate', count, count, 4).getUint32(0, true);
  if (sizes > MAX_SIZES) throw damaged(`${sizes} sizes of huge pages`);
  const reader = new StructReader(kernel, 'hstate', ['order', 'nr_huge_pages']);
  let pages = 0;
  for (let index = 0; index < sizes; index++) {
    const state = reader.read(reader.element(states, index));
    const order = state.number('order');
    // An unused entry has no order yet, and a huge order would overflow.
    if (order < 1 || order > MAX_ORDER) throw damaged(`huge pages of order ${order}`);
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
