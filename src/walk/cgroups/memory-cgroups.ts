import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { CgroupReader } from '../tasks/cgroup.js';

/** A memory cgroup (`struct mem_cgroup`). */
export interface MemoryCgroup {
  readonly address: bigint;
  /** Address of its `struct cgroup`. */
  readonly cgroup: bigint;
  /** From the root of its hierarchy; hostile. */
  readonly path: string;
  /** Its folder was removed, and what is charged to it keeps it. */
  readonly dying: boolean;
  /** The one above that is charged too; 0n: the root. */
  readonly above: bigint;
  /** Pages charged to it and to those below, with what CPUs keep in stock; undefined of the root. */
  readonly usage: number | undefined;
}

/** Live ones have 16-bit ids; dead ones may be many more. */
const MOST = 2 ** 20;

/** Of `cgroup_subsys_state.flags` (include/linux/cgroup-defs.h): cleared when the folder is removed. */
const CSS_ONLINE = 2;

/** Reads memory cgroups, and finds which one a page or an object is charged to. */
export class MemoryCgroups {
  readonly #kernel: Kernel;
  readonly #subsystem: bigint;
  readonly #state;
  readonly #group;
  readonly #usage: 'memory.usage.counter' | 'memory.count.counter';
  readonly #objects;
  readonly #paths: CgroupReader;
  /** Where a `struct cgroup` names its memory cgroup; undefined: an extract lacks it. */
  readonly #place: bigint | undefined;
  readonly #counter: bigint;

  /** @throws {KernelError} `no-symbols`, `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#subsystem = needSymbol(kernel, 'memory_cgrp_subsys');
    this.#state = new StructReader(kernel, 'cgroup_subsys_state', [
      ...(['cgroup', 'ss', 'flags', 'parent', 'online_cnt'] as const),
    ]);
    // Before 4.18 by its older name.
    this.#usage = kernel.struct('mem_cgroup')?.member('memory.usage.counter')
      ? 'memory.usage.counter'
      : 'memory.count.counter';
    this.#group = new StructReader(kernel, 'mem_cgroup', [this.#usage, 'memory.parent']);
    this.#counter = BigInt(new StructReader(kernel, 'mem_cgroup', ['memory']).offset('memory'));
    // Since 5.9: before, slabs are charged as a whole.
    this.#objects = kernel.struct('obj_cgroup')
      ? new StructReader(kernel, 'obj_cgroup', ['memcg'])
      : undefined;
    this.#paths = new CgroupReader(kernel);
    const at = BigInt(new StructReader(kernel, 'cgroup', ['subsys']).offset('subsys'));
    const subsystem = new StructReader(kernel, 'cgroup_subsys', ['id']);
    const id = readOrNot(() => subsystem.read(this.#subsystem).number('id'));
    this.#place = id === undefined ? undefined : at + 8n * BigInt(id);
  }

  /**
   * The memory cgroup that a charge leads to: it points to it, or to a `struct obj_cgroup` that does.
   * What a pointer leads to tells which: its subsystem.
   *
   * @throws {ReadError}; {@link KernelError} `damaged` if it leads to none
   */
  charged(pointer: bigint): bigint {
    if (this.#is(pointer)) return pointer;
    const group = this.#objects?.read(pointer).pointer('memcg') ?? 0n;
    if (group !== 0n && this.#is(group)) return group;
    throw new KernelError('damaged', `the charge at ${hex(pointer)} leads to no memory cgroup`);
  }

  /** @throws {ReadError}; {@link KernelError} `damaged` */
  read(address: bigint): MemoryCgroup {
    const state = this.#state.read(address);
    const group = this.#group.read(address);
    const above = group.pointer('memory.parent');
    const cgroup = state.pointer('cgroup');
    const online = (state.number('flags') & CSS_ONLINE) !== 0;
    // One for itself and one for each below that is online.
    if (online !== state.number('online_cnt') > 0 && !this.#kernel.facts.live) {
      const message = `the memory cgroup at ${hex(address)} is online by one count, and not by another`;
      throw new KernelError('damaged', message);
    }
    // A new one may take the place of one that is dying.
    const own = online && !this.#kernel.facts.live ? this.#named(cgroup) : undefined;
    if (own !== undefined && own !== address) {
      const message = `the memory cgroup at ${hex(address)} names the cgroup ${hex(cgroup)}, which has that at ${hex(own)}`;
      throw new KernelError('damaged', message);
    }
    return {
      address,
      cgroup,
      path: this.#paths.pathOf(cgroup),
      dying: !online,
      above: above === 0n ? 0n : above - this.#counter,
      usage: state.pointer('parent') === 0n ? undefined : group.number(this.#usage),
    };
  }

  /**
   * All of them, those that are dying too, the root first.
   *
   * @throws {TornList}, {@link ReadError}; {@link KernelError} `damaged` if they never end
   */
  *all(): Generator<bigint> {
    const links = new StructReader(this.#kernel, 'cgroup_subsys_state', ['sibling', 'children']);
    const root = this.#kernel
      .read(needSymbol(this.#kernel, 'root_mem_cgroup'), 8)
      .getBigUint64(0, true);
    const next = [root];
    for (let met = 0; ; met++) {
      const group = next.pop();
      if (group === undefined) return;
      if (met > MOST)
        throw new KernelError('damaged', 'memory cgroup list does not terminate (loop?)');
      yield group;
      const children = group + BigInt(links.offset('children'));
      for (const node of listNodes(this.#kernel, children))
        next.push(node - BigInt(links.offset('sibling')));
    }
  }

  /** The memory cgroup that a `struct cgroup` names. */
  #named(cgroup: bigint): bigint | undefined {
    const place = this.#place;
    if (place === undefined) return undefined;
    return readOrNot(() => this.#kernel.read(cgroup + place, 8).getBigUint64(0, true));
  }

  #is(address: bigint): boolean {
    try {
      return this.#state.read(address).pointer('ss') === this.#subsystem;
    } catch (error) {
      if (error instanceof ReadError) return false;
      throw error;
    }
  }
}
