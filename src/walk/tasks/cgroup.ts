import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes, StructReader } from '../struct-reader.js';

/** Deeper than this no cgroup lies (`cgroup.max.depth` is far below in practice). */
const MAX_DEPTH = 128;
const MAX_NAME = 256;

/** Tells the cgroup of a task, as /proc/PID/cgroup names it. */
export class CgroupReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #set;
  readonly #state;
  readonly #controllers: number;
  readonly #cgroup;
  readonly #node;
  readonly #parent: 'parent' | '__parent';
  readonly #paths = new Map<bigint, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['cgroups']);
    this.#set = new StructReader(kernel, 'css_set', ['dfl_cgrp', 'subsys']);
    this.#controllers = this.#set.members.subsys.count ?? 0;
    this.#state = new StructReader(kernel, 'cgroup_subsys_state', ['cgroup']);
    this.#cgroup = new StructReader(kernel, 'cgroup', ['kn']);
    // Since 6.15 the parent is under RCU and so named.
    const parent = kernel.struct('kernfs_node')?.member('__parent') ? '__parent' : 'parent';
    this.#parent = parent;
    this.#node = new StructReader(kernel, 'kernfs_node', [parent, 'name']);
  }

  /**
   * The path in the unified hierarchy; where a task is in its root, the longest path that any
   * controller of a version 1 hierarchy gives it. Hostile.
   *
   * @throws {ReadError}
   */
  path(task: bigint): string {
    const set = this.#task.read(task).pointer('cgroups');
    const known = this.#paths.get(set);
    if (known !== undefined) return known;
    const view = this.#set.read(set);
    let path = this.pathOf(view.pointer('dfl_cgrp'));
    if (path === '/') {
      const at = view.addressOf('subsys');
      const states = readPartOf(this.#kernel, 'struct css_set', set, at, this.#controllers * 8);
      for (let index = 0; index < this.#controllers; index++) {
        const state = states.getBigUint64(index * 8, true);
        if (state === 0n) continue;
        const other = this.pathOf(this.#state.read(state).pointer('cgroup'));
        if (other.length > path.length) path = other;
      }
    }
    this.#paths.set(set, path);
    return path;
  }

  /** The path of a `struct cgroup` in its hierarchy. Hostile. @throws {ReadError} */
  pathOf(cgroup: bigint): string {
    const names: string[] = [];
    let node = cgroup === 0n ? 0n : this.#cgroup.read(cgroup).pointer('kn');
    while (node !== 0n && names.length < MAX_DEPTH) {
      const view = this.#node.read(node);
      const parent = view.pointer(this.#parent);
      if (parent !== 0n) names.unshift(this.#name(view.pointer('name')));
      node = parent;
    }
    return `/${names.join('/')}`;
  }

  /** Byte by byte: what follows a name may lie in a page that the dump doesn't have. */
  #name(address: bigint): string {
    const bytes: number[] = [];
    while (bytes.length < MAX_NAME) {
      const at = address + BigInt(bytes.length);
      const byte = readPartOf(this.#kernel, 'the name', address, at, 1).getUint8(0);
      if (byte === 0) break;
      bytes.push(byte);
    }
    return decodeBytes(Uint8Array.from(bytes));
  }
}
