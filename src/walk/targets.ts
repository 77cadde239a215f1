import { KernelError, WalkError } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { netNamespaces } from './network/net-devices.js';
import { StructReader } from './struct-reader.js';
import { refuseKernelThread } from './tasks/files.js';
import { findTask } from './tasks/task-table.js';
import { incompleteness } from './warnings.js';

/** Restrictions of an answer. */
export interface Targets {
  readonly pid?: number | undefined;
  /** Inode number of a network namespace. */
  readonly netns?: number | undefined;
}

/**
 * Ensures that a process or network namespace exists. Unreadable data is ignored: the answer reports it.
 *
 * @throws {WalkError} `no-such-pid`, `kernel-thread`, `no-such-netns`
 */
export function checkTargets(kernel: Kernel, { pid, netns }: Targets): void {
  if (pid !== undefined) ifReadable(() => refuseKernelThread(findTask(kernel, pid)));
  if (netns !== undefined) ifReadable(() => findNetns(kernel, netns));
}

function findNetns(kernel: Kernel, inode: number): void {
  const reader = new StructReader(kernel, 'net', ['ns.inum']);
  let count = 0;
  for (const address of netNamespaces(kernel)) {
    if (reader.read(address).number('ns.inum') === inode) return;
    count++;
  }
  throw new WalkError(
    'no-such-netns',
    `network namespace ${inode} not found among ${count}: kdump-mem sockets --by netns lists them`,
  );
}

function ifReadable(find: () => void): void {
  try {
    find();
  } catch (error) {
    if (error instanceof WalkError) throw error;
    // For example, the kernel lacks the symbol of the list.
    if (!(error instanceof KernelError)) incompleteness(error);
  }
}
