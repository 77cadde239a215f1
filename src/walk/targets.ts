import { KernelError } from '../base/errors/kernel.js';
import { WalkError } from '../base/errors/walk.js';
import type { Kernel } from '../kernel/kernel.js';
import { incompleteness } from './incompleteness.js';
import { netNamespaces } from './network/net-namespaces.js';
import { StructReader } from './struct-reader.js';
import { refuseKernelThread } from './tasks/files.js';
import { findTask } from './tasks/task-table.js';

/** What an answer is restricted to. */
export interface Targets {
  readonly pid?: number | undefined;
  /** Inode of a network namespace. */
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
    // As of a kernel without the symbol of the list.
    if (!(error instanceof KernelError)) incompleteness(error);
  }
}
