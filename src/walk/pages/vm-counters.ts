import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';

/** What counters were called before 5.9. */
const FORMERLY = {
  NR_SLAB_RECLAIMABLE_B: 'NR_SLAB_RECLAIMABLE',
  NR_SLAB_UNRECLAIMABLE_B: 'NR_SLAB_UNRECLAIMABLE',
} as const;

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

/** Counters of NUMA nodes: `enum node_stat_item`. Slabs are named as since 5.9; all count in pages. */
export class NodeCounters extends Counters {
  readonly #node: StructReader<'node_present_pages'>;

  constructor(kernel: Kernel) {
    const diffs = { type: 'per_cpu_nodestat', path: 'vm_node_stat_diff' };
    super(kernel, 'pglist_data', 'node_stat_item', { member: 'per_cpu_nodestats', ...diffs });
    this.#node = new StructReader(kernel, 'pglist_data', ['node_present_pages']);
  }

  /** Pages of all zones of a node, which change as theirs do; undefined where the dump lacks it. */
  present(node: bigint): number | undefined {
    return readOrNot(() => this.#node.read(node).number('node_present_pages'));
  }
}

interface Zone {
  readonly address: bigint;
  readonly present: number;
  readonly managed: number;
  /** Free pages in the lists of CPUs. */
  readonly onCpus: number;
}

/** Counters of zones: `enum zone_stat_item`. */
export class ZoneCounters extends Counters {
  readonly #kernel: Kernel;
  readonly #node;
  readonly #zone;
  readonly #lists: { readonly pointer: bigint; readonly count: (cpu: bigint) => number };

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

/** A signed word of a struct: counters may be negative for a moment. */
export function long(kernel: Kernel, whole: string, at: bigint, offset: bigint): number {
  return Number(readPartOf(kernel, whole, at, at + offset, 8).getBigInt64(0, true));
}
