import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { readOrNot } from '../read-or-not.js';
import { decodeBytes, StructReader } from '../struct-reader.js';
import { isNameHash } from './name-hash.js';

/** Deeper than this no cgroup lies (`cgroup.max.depth` is far below in practice). */
const MAX_DEPTH = 128;
const MAX_NAME = 256;

/**
 * Returns the cgroup of a task, as /proc/PID/cgroup names it. On a dump each link is held against the one that
 * leads back: a kernfs node names its cgroup, each cgroup its parent, and a css_set its tasks and its cgroups.
 * An extract need not have the links back.
 */
export class CgroupReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #set;
  readonly #state;
  readonly #controllers: number;
  readonly #cgroup;
  readonly #node;
  readonly #parent: 'parent' | '__parent';
  readonly #back: Backlinks | undefined;
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
    // On a live kernel tasks move from one to another between two reads.
    this.#back = kernel.facts.live ? undefined : new Backlinks(kernel);
  }

  /**
   * The path in the unified hierarchy; where a task is in its root, the longest path that any
   * controller of a version 1 hierarchy gives it. Hostile.
   *
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  path(task: bigint): string {
    const set = this.#task.read(task).pointer('cgroups');
    this.#back?.checkTask(task, set);
    const known = this.#paths.get(set);
    if (known !== undefined) return known;
    const view = this.#set.read(set);
    const linked = (cgroup: bigint): bigint => {
      this.#back?.checkLink(set, cgroup);
      return cgroup;
    };
    let path = this.pathOf(linked(view.pointer('dfl_cgrp')));
    if (path === '/') {
      const at = view.addressOf('subsys');
      const states = readPartOf(this.#kernel, 'struct css_set', set, at, this.#controllers * 8);
      for (let index = 0; index < this.#controllers; index++) {
        const state = states.getBigUint64(index * 8, true);
        if (state === 0n) continue;
        const other = this.pathOf(linked(this.#state.read(state).pointer('cgroup')));
        if (other.length > path.length) path = other;
      }
    }
    this.#paths.set(set, path);
    return path;
  }

  /** The path of a `struct cgroup` in its hierarchy. Hostile. @throws as path */
  pathOf(cgroup: bigint): string {
    const names: string[] = [];
    let node = cgroup === 0n ? 0n : this.#cgroup.read(cgroup).pointer('kn');
    let own: bigint | undefined = cgroup;
    while (node !== 0n && names.length < MAX_DEPTH) {
      const view = this.#node.read(node);
      const parent = view.pointer(this.#parent);
      const name = parent === 0n ? undefined : this.#name(view.pointer('name'));
      own = this.#back?.checkNode(node, own, name);
      if (name !== undefined) names.unshift(decodeBytes(name));
      node = parent;
    }
    return `/${names.join('/')}`;
  }

  /** Byte by byte: what follows a name may lie in a page that the dump doesn't have. */
  #name(address: bigint): Uint8Array {
    const bytes: number[] = [];
    while (bytes.length < MAX_NAME) {
      const at = address + BigInt(bytes.length);
      const byte = readPartOf(this.#kernel, 'the name', address, at, 1).getUint8(0);
      if (byte === 0) break;
      bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  }
}

/** The links that lead back (kernel/cgroup/cgroup.c, fs/kernfs/dir.c). */
class Backlinks {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #set;
  readonly #heads: readonly bigint[];
  readonly #link;
  readonly #node;
  readonly #cgroup;
  readonly #linked = new Map<bigint, ReadonlySet<bigint> | undefined>();

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['cgroups', 'cg_list']);
    const set = new StructReader(kernel, 'css_set', ['cgrp_links', 'tasks', 'mg_tasks']);
    this.#set = set;
    const dying = kernel.struct('css_set')?.member('dying_tasks')?.offset;
    this.#heads = [set.offset('tasks'), set.offset('mg_tasks'), ...(dying ? [dying] : [])].map(
      BigInt,
    );
    this.#link = new StructReader(kernel, 'cgrp_cset_link', ['cgrp', 'cset', 'cgrp_link']);
    this.#node = new StructReader(kernel, 'kernfs_node', ['priv', 'hash']);
    this.#cgroup = new StructReader(kernel, 'cgroup', ['self', 'self.parent']);
  }

  /** The tasks of a css_set are on one of its lists, beside each other. @throws {KernelError} `damaged` */
  checkTask(task: bigint, set: bigint): void {
    const node = task + BigInt(this.#task.offset('cg_list'));
    const links = readOrNot(() => this.#kernel.read(node, 16));
    if (!links) return;
    for (const at of [0, 8]) {
      const other = links.getBigUint64(at, true);
      // On no list: before the first cgroup was mounted, and a task that is released.
      if (other === node || this.#heads.some((head) => other === set + head)) continue;
      const neighbour = other - BigInt(this.#task.offset('cg_list'));
      const theirs = readOrNot(() => this.#task.read(neighbour).pointer('cgroups'));
      if (theirs === undefined || theirs === set) continue;
      const message = `task ${hex(task)} has the css_set ${hex(set)}, but is listed with a task of ${hex(theirs)}`;
      throw new KernelError('damaged', message);
    }
  }

  /** @throws {KernelError} `damaged` unless the cgroup is one of those that the css_set is linked to */
  checkLink(set: bigint, cgroup: bigint): void {
    if (!this.#linked.has(set))
      this.#linked.set(
        set,
        readOrNot(() => this.#cgroupsOf(set)),
      );
    const linked = this.#linked.get(set);
    if (!linked || linked.has(cgroup)) return;
    const message = `css_set ${hex(set)} points to the cgroup ${hex(cgroup)}, but is not linked to it`;
    throw new KernelError('damaged', message);
  }

  /**
   * Holds a kernfs node against the cgroup that leads to it; either may be unknown.
   *
   * @param name undefined: it is the root of a hierarchy
   * @returns the cgroup above; undefined: unknown
   * @throws {KernelError} `damaged`
   */
  checkNode(
    node: bigint,
    cgroup: bigint | undefined,
    name: Uint8Array | undefined,
  ): bigint | undefined {
    const back = readOrNot(() => this.#node.read(node));
    if (back && cgroup !== undefined && back.pointer('priv') !== cgroup) {
      const message = `cgroup ${hex(cgroup)} has the kernfs node ${hex(node)}, which belongs to ${hex(back.pointer('priv'))}`;
      throw new KernelError('damaged', message);
    }
    if (back && name && !isNameHash(back.number('hash'), name))
      throw new KernelError(
        'damaged',
        `kernfs node ${hex(node)} has a name that does not match its hash`,
      );
    if (cgroup === undefined) return undefined;
    const parent = readOrNot(() => this.#cgroup.read(cgroup).pointer('self.parent'));
    if (parent === undefined) return undefined;
    if ((parent === 0n) !== (name === undefined)) {
      const message = `cgroup ${hex(cgroup)} and its kernfs node ${hex(node)} are inconsistent: only one has a parent`;
      throw new KernelError('damaged', message);
    }
    return parent - BigInt(this.#cgroup.offset('self'));
  }

  /** @throws {TornList}, {@link ReadError} */
  #cgroupsOf(set: bigint): ReadonlySet<bigint> {
    const linked = new Set<bigint>();
    const head = set + BigInt(this.#set.offset('cgrp_links'));
    for (const node of listNodes(this.#kernel, head)) {
      const link = this.#link.read(node - BigInt(this.#link.offset('cgrp_link')));
      if (link.pointer('cset') === set) linked.add(link.pointer('cgrp'));
    }
    return linked;
  }
}
