import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { decodeBytes, StructReader } from '../struct-reader.js';

/** Maximum depth of a cgroup (`cgroup.max.depth` is far below in practice). */
const MAX_DEPTH = 128;
const MAX_NAME = 256;

/**
 * Reads the cgroup of a task, as shown in /proc/PID/cgroup. On a dump, each link is compared with the link
 * back: a kernfs node names its cgroup, each cgroup its parent, and a css_set its tasks and its cgroups. An
 * extract may lack the links back.
 */
export class CgroupReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #set;
  readonly #state;
  readonly #cgroup;
  readonly #node;
  readonly #parent: 'parent' | '__parent';
  readonly #back: Backlinks | undefined;
  readonly #paths = new Map<bigint, string>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['cgroups']);
    this.#set = new StructReader(kernel, 'css_set', ['dfl_cgrp', 'subsys']);
    this.#state = new StructReader(kernel, 'cgroup_subsys_state', ['cgroup']);
    this.#cgroup = new StructReader(kernel, 'cgroup', ['kn']);
    // Since 6.15, the parent is RCU-protected and renamed.
    const parent = kernel.struct('kernfs_node')?.member('__parent') ? '__parent' : 'parent';
    this.#parent = parent;
    this.#node = new StructReader(kernel, 'kernfs_node', [parent, 'name']);
    // On a live kernel, tasks may move to another cgroup between two reads.
    this.#back = kernel.facts.live ? undefined : new Backlinks(kernel);
  }

  /**
   * Returns the path in the unified hierarchy; for a task in its root, the longest path in any version 1
   * hierarchy. Untrusted.
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
      for (const state of view.pointers('subsys')) {
        if (state === 0n) continue;
        const other = this.pathOf(linked(this.#state.read(state).pointer('cgroup')));
        if (other.length > path.length) path = other;
      }
    }
    this.#paths.set(set, path);
    return path;
  }

  /** Returns the path of a `struct cgroup` in its hierarchy. Untrusted. @throws as path */
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

  /** Byte by byte: the next page may be missing in the dump. */
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

/** Checks the links back (kernel/cgroup/cgroup.c, fs/kernfs/dir.c). */
class Backlinks {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #set;
  readonly #heads: readonly bigint[];
  readonly #link;
  readonly #node;
  readonly #cgroup;
  readonly #linked = new Map<bigint, ReadonlySet<bigint> | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#task = new StructReader(kernel, 'task_struct', ['cgroups', 'cg_list']);
    const set = new StructReader(kernel, 'css_set', ['cgrp_links', 'tasks', 'mg_tasks']);
    this.#set = set;
    const dying = kernel.struct('css_set')?.member('dying_tasks')?.offset;
    this.#heads = [set.offset('tasks'), set.offset('mg_tasks'), ...(dying ? [dying] : [])].map(BigInt);
    this.#link = new StructReader(kernel, 'cgrp_cset_link', ['cgrp', 'cset', 'cgrp_link']);
    this.#node = new StructReader(kernel, 'kernfs_node', ['priv', 'hash']);
    this.#cgroup = new StructReader(kernel, 'cgroup', ['self', 'self.parent']);
  }

  /**
   * Checks that a task's neighbours on the css_set's task list have the same css_set. @throws {KernelError}
   * `damaged`
   */
  checkTask(task: bigint, set: bigint): void {
    const node = this.#task.addressOf(task, 'cg_list');
    const links = readOrNot(() => this.#kernel.read(node, 16));
    if (!links) return;
    for (const at of [0, 8]) {
      const other = links.getBigUint64(at, true);
      // Not on a list: no cgroup was mounted yet, or the task is being released.
      if (other === node || this.#heads.some((head) => other === set + head)) continue;
      const neighbour = this.#task.containerOf(other, 'cg_list');
      const theirs = readOrNot(() => this.#task.read(neighbour).pointer('cgroups'));
      if (theirs === undefined || theirs === set) continue;
      const message = `task ${hex(task)} has the css_set ${hex(set)}, but is listed with a task of ${hex(theirs)}`;
      throw damaged(message);
    }
  }

  /** @throws {KernelError} `damaged` if the css_set is not linked to the cgroup */
  checkLink(set: bigint, cgroup: bigint): void {
    if (!this.#linked.has(set))
      this.#linked.set(
        set,
        readOrNot(() => this.#cgroupsOf(set)),
      );
    const linked = this.#linked.get(set);
    if (!linked || linked.has(cgroup)) return;
    const message = `css_set ${hex(set)} points to the cgroup ${hex(cgroup)}, but is not linked to it`;
    throw damaged(message);
  }

  /**
   * Compares a kernfs node with the cgroup that points to it; either may be unknown.
   *
   * @param name undefined for the root of a hierarchy
   * @returns the parent cgroup; undefined: unknown
   */
  checkNode(node: bigint, cgroup: bigint | undefined, name: Uint8Array | undefined): bigint | undefined {
    const back = readOrNot(() => this.#node.read(node));
    if (back && cgroup !== undefined && back.pointer('priv') !== cgroup) {
      const message = `cgroup ${hex(cgroup)} has the kernfs node ${hex(node)}, which belongs to ${hex(back.pointer('priv'))}`;
      throw damaged(message);
    }
    if (back && name && !isNameHash(back.number('hash'), name))
      throw damaged(`kernfs node ${hex(node)} has a name that does not match its hash`);
    if (cgroup === undefined) return undefined;
    const parent = readOrNot(() => this.#cgroup.read(cgroup).pointer('self.parent'));
    if (parent === undefined) return undefined;
    if ((parent === 0n) !== (name === undefined)) {
      const message = `cgroup ${hex(cgroup)} and its kernfs node ${hex(node)} are inconsistent: only one has a parent`;
      throw damaged(message);
    }
    return this.#cgroup.containerOf(parent, 'self');
  }

  #cgroupsOf(set: bigint): ReadonlySet<bigint> {
    const linked = new Set<bigint>();
    const head = this.#set.addressOf(set, 'cgrp_links');
    for (const link of this.#link.entries(head, 'cgrp_link')) {
      if (link.pointer('cset') === set) linked.add(link.pointer('cgrp'));
    }
    return linked;
  }
}

const WORD = 2n ** 64n - 1n;
/** GOLDEN_RATIO_64 (include/linux/hash.h). */
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;
const [MOST, MASK] = [0x7fff_ffff, 0x7fff_ffffn];

/**
 * Whether a kernfs node's hash matches its name (kernfs_name_hash in fs/kernfs/dir.c). Before 4.7 the sum was
 * folded differently; `char` is signed on x86, and before 6.2 on other architectures.
 */
export function isNameHash(hash: number, name: Uint8Array): boolean {
  return [sumOf(name, true), sumOf(name, false)].some(
    (sum) => limited(((sum * GOLDEN_RATIO) & WORD) >> 32n) === hash || limited(sum) === hash,
  );
}

/** Returns the hash of an ASCII name, as in kernels since 4.7. */
export function nameHash(name: Uint8Array): number {
  return limited(((sumOf(name, false) * GOLDEN_RATIO) & WORD) >> 32n);
}

/** partial_name_hash (include/linux/stringhash.h). */
function sumOf(name: Uint8Array, signed: boolean): bigint {
  let sum = 0n;
  for (const byte of name) {
    const character = signed ? BigInt.asUintN(64, BigInt((byte << 24) >> 24)) : BigInt(byte);
    sum = ((sum + (character << 4n) + (character >> 4n)) * 11n) & WORD;
  }
  return sum;
}

/** Limits a hash: 0, 1 and INT_MAX are reserved as markers between nodes. */
function limited(sum: bigint): number {
  const hash = Number(sum & MASK);
  return hash < 2 ? hash + 2 : Math.min(hash, MOST - 1);
}
