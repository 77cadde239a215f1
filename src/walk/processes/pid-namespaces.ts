import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';
import type { Kernel } from '../../kernel/kernel.js';
import { taskTable } from '../tasks/task-table.js';
import { type NamespacedPid, PidNumberReader } from './pid-numbers.js';

/**
 * The machine's number of a process that has another in a pid namespace, its own or one around that.
 *
 * @throws {WalkError} `no-such-pid`: none has it; {@link KernelError} `damaged`: two have it; and what kept us
 *   from reading a process, where none of those that were read has it
 */
export function findInPidNamespace(kernel: Kernel, { namespace, pid }: NamespacedPid): number {
  const reader = new PidNumberReader(kernel);
  const found: number[] = [];
  let unread: unknown;
  let known = false;
  for (const task of taskTable(kernel).processes) {
    try {
      const numbers = reader.read(task).filter((each) => each.namespace === namespace);
      known ||= numbers.length > 0;
      if (numbers.some((each) => each.pid === pid)) found.push(task.pid);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      unread ??= error;
    }
  }
  const [first, ...others] = found;
  if (others.length > 0)
    throw new KernelError(
      'damaged',
      `pid namespace ${namespace} has more than one pid ${pid}: pid ${found.join(', ')}`,
    );
  if (first !== undefined) return first;
  if (unread !== undefined) throw unread;
  throw notThere({ namespace, pid }, known);
}

/** @param known some process is in that namespace */
export function notThere({ namespace, pid }: NamespacedPid, known: boolean): WalkError {
  const message = known
    ? `no process has pid ${pid} in pid namespace ${namespace}`
    : `no process is in a pid namespace ${namespace}: its number is that of /proc/PID/ns/pid`;
  return new WalkError('no-such-pid', message);
}
