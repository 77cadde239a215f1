import type { Kernel } from '../../kernel/kernel.js';
import { FileTables } from '../tasks/files.js';
import { taskTable } from '../tasks/task-table.js';

/**
 * The addresses of the `struct file`s that processes have open, each once. A file that is only mapped,
 * or that waits in a unix socket's queue, is not among them.
 *
 * @throws as {@link taskTable}, and {@link FileTables.open}; after the files of all others, if tasks are lost
 */
export function* filesOfProcesses(kernel: Kernel): Generator<bigint> {
  const tables = new FileTables(kernel);
  const { processes, threads, lost } = taskTable(kernel);
  const seen = new Set<bigint>();
  const seenTables = new Set<bigint>([0n]);
  for (const process of processes) {
    if (process.kernelThread) continue;
    for (const { files } of threads(process)) {
      if (seenTables.has(files)) continue;
      seenTables.add(files);
      for (const { file } of tables.open(files)) {
        if (seen.has(file)) continue;
        seen.add(file);
        yield file;
      }
    }
  }
  if (lost) throw lost;
}
