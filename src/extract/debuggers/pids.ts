import { viewOf } from '../../kernel/bytes.js';
import type { NativeKernel } from '../../kernel/native/parts.js';
import { StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';
import { present } from './present.js';

/** Nodes of the pids' tree: 64 to a node. */
const MOST_PID_NODES = 1 << 20;

/** The initial namespace's pids (an xarray since 4.15), by which both find tasks. */
export function readPids(kernel: NativeKernel): void {
  const namespace = kernel.symbol('init_pid_ns');
  if (namespace === undefined) return;
  present(kernel, 'pid_namespace', [
    'idr',
    'pid_allocated',
    'child_reaper',
    'level',
    'ns.inum',
  ]).read(namespace);
  const head = new StructReader(kernel, 'pid_namespace', ['idr.idr_rt.xa_head']);
  const slots = new StructReader(kernel, 'xa_node', ['slots']);
  // The number in the initial namespace comes first; since 6.5 the array of them has no size.
  const numbers = kernel.struct('pid')?.member('numbers');
  const pid = Math.max(
    kernel.struct('pid')?.size ?? 0,
    (numbers?.offset ?? 0) + (kernel.struct('upid')?.size ?? 0),
  );
  const pending = [head.read(namespace).pointer('idr.idr_rt.xa_head')];
  const seen = new Set<bigint>();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    // 0b10 in the low bits marks a node, none a pointer (linux/xarray.h).
    const address = entry & ~3n;
    if (address === 0n || seen.has(entry) || seen.size > MOST_PID_NODES) continue;
    seen.add(entry);
    if ((entry & 3n) === 0n) attempt(() => kernel.read(address, pid));
    if ((entry & 3n) !== 2n) continue;
    attempt(() => {
      kernel.read(address, slots.size);
      const bytes = slots.read(address).bytes('slots');
      const view = viewOf(bytes);
      for (let at = 0; at < view.byteLength; at += 8) pending.push(view.getBigUint64(at, true));
    });
  }
}
