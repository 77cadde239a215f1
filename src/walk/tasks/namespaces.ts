import { WalkError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { findTask, taskTable } from './task-table.js';

/**
 * Returns the address of a namespace of a process, by its `struct nsproxy`.
 *
 * @param pid default: the first process
 * @throws {WalkError} `no-such-pid`: also for a process that exits; {@link ReadError}
 */
export function namespaceOf(
  kernel: Kernel,
  member: 'mnt_ns' | 'ipc_ns',
  pid: number | undefined,
): bigint {
  const task = new StructReader(kernel, 'task_struct', ['nsproxy']);
  const proxy = new StructReader(kernel, 'nsproxy', [member]);
  const process = pid === undefined ? taskTable(kernel).processes[0] : findTask(kernel, pid);
  const at = process && task.read(process.address).pointer('nsproxy');
  if (at) return proxy.read(at).pointer(member);
  throw new WalkError('no-such-pid', `pid ${pid ?? 1} has no namespaces: it is exiting`);
}
