import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { memoryNodes } from './memory-nodes.js';

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
  }
  const use = { ...sum, vmalloced, huge: hugePages(kernel) };
  for (const [name, pages] of Object.entries(use)) {
    if (pages === undefined || (pages >= 0 && pages <= MOST_PAGES)) continue;
    throw new KernelError('damaged', `the machine counts ${pages} pages (${name})`);
  }
  const counted = variable !== undefined || nodes.has('NR_VMALLOC');
  return { ...use, vmalloced: counted ? vmalloced : undefined };
}

/** Counters `vm_stat[item]` with a part for each CPU, an s8 for each item. */
class Counters {
  readonly #kernel: Kernel;
  readonly #owner;
  readonly #items: ReadonlyMap<string, bigint>;
  readonly #diffs: { readonly pointer: bigint; readonly type: string; readonly first: number };
  readonly #cpus: readonly number[];

  /** @param diffs from what the owner's `member` points to, by CPU, to their own array of items */
  constructor(
    kernel: Kernel,
    owner: string,
    items: string,
    { member, type, path }: { member: string; type: string; path: string },
  ) {
    this.#kernel = kernel;
    this.#owner = new StructReader(kernel, owner, ['vm_stat', member]);
    const { members } = new StructReader(kernel, type, [path]);
    this.#diffs = {
      pointer: BigInt(this.#owner.offset(member)),
      type,
      first: members[path]!.offset,
    };
    const named = kernel.enumerators(items);
    if (!named) throw new KernelError('unsupported-layout', `this kernel has no enum ${items}`);
    this.#items = named;
    this.#cpus = cpuMask(kernel, '__cpu_possible_mask');
  }

  has(name: string): boolean {
    return this.#items.has(name);
  }

  /** 0 where the kernel has no such counter. */
  item(owner: bigint, name: string): number {
    const item = this.#items.get(name);
    const array = this.#owner.members.vm_stat;
    if (item === undefined) return 0;
    if (Number(item) >= (array?.count ?? 0)) {
      throw new KernelError('unsupported-layout', `vm_stat has no place for ${name}`);
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

class NodeCounters extends Counters {
  constructor(kernel: Kernel) {
    const diffs = { type: 'per_cpu_nodestat', path: 'vm_node_stat_diff' };
    super(kernel, 'pglist_data', 'node_stat_item', { member: 'per_cpu_nodestats', ...diffs });
  }
}

interface Zone {
  readonly address: bigint;
  readonly present: number;
  readonly managed: number;
  /** Free pages in the lists of CPUs. */
  readonly onCpus: number;
}

class ZoneCounters extends Counters {
  readonly #kernel: Kernel;
  readonly #node;
  readonly #zone;
  readonly #lists: { readonly pointer: bigint; readonly type: string; readonly count: bigint };

  /** Since 5.14 the free pages and the counters of a CPU are apart. */
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
    const { members } = new StructReader(kernel, type, [path]);
    this.#lists = {
      pointer: BigInt(this.#zone.offset(pointer)),
      type,
      count: BigInt(members[path]!.offset),
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
      const { pointer, type, count } = this.#lists;
      const lists = pointerPartOf(this.#kernel, 'struct zone', address, address + pointer);
      let onCpus = 0;
      for (const cpu of cpus) {
        const own = perCpuAddress(this.#kernel, lists, cpu);
        onCpus += readPartOf(this.#kernel, `struct ${type}`, own, own + count, 4).getInt32(0, true);
      }
      yield { address, present, managed, onCpus };
    }
  }
}

/** `hstates[hugetlb_max_hstate]` (mm/hugetlb.c): pages of each size, used or not. */
function hugePages(kernel: Kernel): number | undefined {
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
    pages += state.number('nr_huge_pages') * 2 ** order;
  }
  return pages;
}

/** A signed word of a struct: counters may be negative for a moment. */
function long(kernel: Kernel, whole: string, at: bigint, offset: bigint): number {
  return Number(readPartOf(kernel, whole, at, at + offset, 8).getBigInt64(0, true));
}
