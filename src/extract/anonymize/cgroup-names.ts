import type { NativeKernel } from '../../kernel/native/parts.js';
import { StructReader } from '../../walk/struct-reader.js';

/** Deeper than this no cgroup lies. */
const MAX_DEPTH = 128;
/** NAME_MAX, with its NUL. */
const MAX_NAME = 256;

/** The name of a cgroup's kernfs node. */
export interface CgroupName {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Address of the hash that the node keeps of its name (`unsigned int`). */
  readonly hash: bigint;
}

/** Where the names of a task's cgroups lie, from each leaf up; the root has none. */
export function* cgroupNames(kernel: NativeKernel, task: bigint): Generator<CgroupName> {
  const set = new StructReader(kernel, 'css_set', ['dfl_cgrp', 'subsys']);
  const view = set.read(
    new StructReader(kernel, 'task_struct', ['cgroups']).read(task).pointer('cgroups'),
  );
  yield* cgroupNamesUp(kernel, view.pointer('dfl_cgrp'));
  const states = kernel.read(view.addressOf('subsys'), (set.members.subsys.count ?? 0) * 8);
  const state = new StructReader(kernel, 'cgroup_subsys_state', ['cgroup']);
  for (let at = 0; at < states.byteLength; at += 8) {
    const address = states.getBigUint64(at, true);
    if (address !== 0n) yield* cgroupNamesUp(kernel, state.read(address).pointer('cgroup'));
  }
}

/** The same of a `struct cgroup`. */
export function* cgroupNamesUp(kernel: NativeKernel, cgroup: bigint): Generator<CgroupName> {
  // Since 6.15 the parent is under RCU and so named.
  const parent = kernel.struct('kernfs_node')?.member('__parent') ? '__parent' : 'parent';
  const reader = new StructReader(kernel, 'kernfs_node', [parent, 'name', 'hash']);
  if (cgroup === 0n) return;
  let node = new StructReader(kernel, 'cgroup', ['kn']).read(cgroup).pointer('kn');
  for (let depth = 0; node !== 0n && depth < MAX_DEPTH; depth++) {
    const view = reader.read(node);
    const above = view.pointer(parent);
    const address = view.pointer('name');
    const hash = view.addressOf('hash');
    if (above !== 0n) yield { address, bytes: nameAt(kernel, address), hash };
    node = above;
  }
}

function nameAt(kernel: NativeKernel, address: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let at = 0; at < MAX_NAME; at++) {
    const byte = kernel.read(address + BigInt(at), 1).getUint8(0);
    if (byte === 0) break;
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
