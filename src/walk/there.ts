import { KernelError } from '../base/errors/kernel.js';
import { WalkError } from '../base/errors/walk.js';
import type { Kernel } from '../kernel/kernel.js';
import { incompleteness } from './incompleteness.js';
import { netNamespaces } from './network/net-namespaces.js';
import { StructReader } from './struct-reader.js';
import { refuseKernelThread } from './tasks/files.js';
import { findTask } from './tasks/task-table.js';

/** What a question is narrowed down to. */
export interface Asked {
  readonly pid?: number | undefined;
  /** Inode of a network namespace. */
  readonly netns?: number | undefined;
}

/**
 * Sees to it that what was asked for is there. Where that cannot be told, nothing is said: the answer
 * will say what could not be read.
 *
 * @throws {WalkError} `no-such-pid`, `kernel-thread`, `no-such-netns`
 */
export function checkThere(kernel: Kernel, { pid, netns }: Asked): void {
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
    `no network namespace ${inode} among the ${count} of this kernel: kdump-mem sockets --by netns lists them`,
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
