import type { Kernel } from '../../kernel/kernel.js';
import { taskTable } from '../tasks/task-table.js';
import { cpuFragPages, type FragPage, SendFrags } from './page-frag-cache.js';

/**
 * Pages that CPUs, tasks and sockets keep to cut fragments from; each may turn up more than once.
 *
 * @param socks addresses of all `struct sock`s
 * @throws {ReadError}; {@link KernelError} `unsupported-layout`, `damaged`
 */
export function keptFragPages(kernel: Kernel, socks: readonly bigint[]): FragPage[] {
  const found: FragPage[] = [...cpuFragPages(kernel)].map((page) => ({ page, size: undefined }));
  const frags = new SendFrags(kernel);
  const { processes, threads, lost } = taskTable(kernel);
  if (lost) throw lost;
  for (const process of processes) {
    for (const thread of threads(process)) {
      const page = frags.ofTask(thread.address);
      if (page !== undefined) found.push(page);
    }
  }
  for (const sock of socks) {
    const page = frags.ofSock(sock);
    if (page !== undefined) found.push(page);
  }
  return found;
}
