import { damaged, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';

import { StructReader } from '../struct-reader.js';
import { CgroupReader } from '../tasks/cgroup.js';

/** A memory cgroup (`struct mem_cgroup`). */
export interface MemoryCgroup {
  readonly address: bigint;
  /** Address of its `struct cgroup`. */
  readonly cgroup: bigint;
  /** Path from the root of its hierarchy; untrusted. */
  readonly path: string;
  /** Its directory was removed, and its remaining charges keep it. */
  readonly dying: boolean;
  /** Parent memory cgroup, which is charged too; 0n for the root. */
  readonly above: bigint;
  /** Pages charged to it and its descendants, including per-CPU stock; undefined for the root. */
  readonly usage: number | undefined;
}

/** Live memory cgroups have 16-bit ids; there may be many more dying ones. */
const MOST = 2 ** 20;

/**
 * Bit of `cgroup_subsys_state.flags` (include/linux/cgroup-defs.h): cleared when the directory is removed.
 */
const CSS_ONLINE = 2;

/** Reads memory cgroups, and finds the one that a page or an object is charged to. */
export class MemoryCgroups {
  readonly #kernel: Kernel;
  readonly #subsystem: bigint;
  readonly #state;
  readonly #group;
  readonly #usage: 'memory.usage.counter' | 'memory.count.counter';
  readonly #objects;
  readonly #paths: CgroupReader;
  /** Offset of the pointer to the memory cgroup in a `struct cgroup`; undefined: an extract lacks it. */
  readonly #place: bigint | undefined;
  readonly #counter;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#subsystem = needSymbol(kernel, 'memory_cgrp_subsys');
    this.#state = new StructReader(kernel, 'cgroup_subsys_state', ['cgroup', 'ss', 'flags', 'parent', 'online_cnt']);
    // Older name, before 4.18.
    this.#usage = kernel.struct('mem_cgroup')?.member('memory.usage.counter')
      ? 'memory.usage.counter'
      : 'memory.count.counter';
    this.#group = new StructReader(kernel, 'mem_cgroup', [this.#usage, 'memory.parent']);
    this.#counter = new StructReader(kernel, 'mem_cgroup', ['memory']);
    // Since 5.9: before, complete slabs are charged.
    this.#objects = kernel.struct('obj_cgroup') ? new StructReader(kernel, 'obj_cgroup', ['memcg']) : undefined;
    this.#paths = new CgroupReader(kernel);
    const at = BigInt(new StructReader(kernel, 'cgroup', ['subsys']).offset('subsys'));
    const subsystem = new StructReader(kernel, 'cgroup_subsys', ['id']);
    const id = readOrNot(() => subsystem.read(this.#subsystem).number('id'));
    this.#place = id === undefined ? undefined : at + 8n * BigInt(id);
  }

  /**
   * Returns the memory cgroup of a charge: the charge points to it, or to a `struct obj_cgroup` that does.
   * The subsystem pointer of the target distinguishes them.
   *
   * @throws {ReadError}; {@link KernelError} `damaged` if it points to neither
   */
  charged(pointer: bigint): bigint {
    if (this.#is(pointer)) return pointer;
    const group = this.#objects?.read(pointer).pointer('memcg') ?? 0n;
    if (group !== 0n && this.#is(group)) return group;
    throw damaged(`the charge at ${hex(pointer)} does not point to a memory cgroup`);
  }

  read(address: bigint): MemoryCgroup {
    const state = this.#state.read(address);
    const group = this.#group.read(address);
    const above = group.pointer('memory.parent');
    const cgroup = state.pointer('cgroup');
    const online = (state.number('flags') & CSS_ONLINE) !== 0;
    // One for itself and one for each online child.
    if (online !== state.number('online_cnt') > 0 && !this.#kernel.facts.live) {
      const message = `the memory cgroup at ${hex(address)} has inconsistent online states`;
      throw damaged(message);
    }
    // A new memory cgroup may replace a dying one.
    const own = online && !this.#kernel.facts.live ? this.#named(cgroup) : undefined;
    if (own !== undefined && own !== address) {
      const message = `the memory cgroup at ${hex(address)} names the cgroup ${hex(cgroup)}, which has that at ${hex(own)}`;
      throw damaged(message);
    }
    return {
      address,
      cgroup,
      path: this.#paths.pathOf(cgroup),
      dying: !online,
      above: above === 0n ? 0n : this.#counter.containerOf(above, 'memory'),
      usage: state.pointer('parent') === 0n ? undefined : group.number(this.#usage),
    };
  }

  /**
   * Yields all memory cgroups, including dying ones, the root first.
   *
   * @throws {TornList}, {@link ReadError}; {@link KernelError} `damaged` if the list does not terminate
   */
  *all(): Generator<bigint> {
    const links = new StructReader(this.#kernel, 'cgroup_subsys_state', ['sibling', 'children']);
    const root = this.#kernel.read(needSymbol(this.#kernel, 'root_mem_cgroup'), 8).getBigUint64(0, true);
    const next = [root];
    for (let met = 0; ; met++) {
      const group = next.pop();
      if (group === undefined) return;
      if (met > MOST) throw damaged('memory cgroup list does not terminate (loop?)');
      yield group;
      for (const child of links.entryAddresses(links.addressOf(group, 'children'), 'sibling')) next.push(child);
    }
  }

  /** Returns the memory cgroup that a `struct cgroup` points to. */
  #named(cgroup: bigint): bigint | undefined {
    const place = this.#place;
    if (place === undefined) return undefined;
    return readOrNot(() => this.#kernel.read(cgroup + place, 8).getBigUint64(0, true));
  }

  #is(address: bigint): boolean {
    return readOrNot(() => this.#state.read(address).pointer('ss')) === this.#subsystem;
  }
}
