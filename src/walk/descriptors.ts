import type { Kernel } from '../kernel/kernel.js';
import { FileTables } from './files.js';
import { incompleteness } from './incompleteness.js';
import { type Task, TaskReader } from './tasks.js';
import type { Warnings } from './warnings.js';

/** A process that has a file open, and at which descriptor. */
export interface Holder {
  readonly task: Task;
  readonly fd: number;
}

/**
 * Every open file of every process, with all its holders. A `files_struct` is read once, whoever
 * shares it; threads that have one of their own (CLONE_THREAD without CLONE_FILES) are told as
 * their process. What cannot be read is a warning.
 */
export function openDescriptors(kernel: Kernel, warnings: Warnings): Map<bigint, Holder[]> {
  const byFile = new Map<bigint, Holder[]>();
  const tables = new FileTables(kernel);
  for (const [files, owners] of fileTables(kernel, warnings)) {
    try {
      for (const { fd, file } of tables.open(files)) {
        const holders = byFile.get(file) ?? [];
        byFile.set(file, holders);
        for (const task of owners) holders.push({ task, fd });
      }
    } catch (error) {
      const who = [...owners].map(({ pid }) => pid).join(', ');
      warnings.add(incompleteness(error), `files of pid ${who}: ${(error as Error).message}`);
    }
  }
  return byFile;
}

/** Each `files_struct` in use, with the processes that use it. */
function fileTables(kernel: Kernel, warnings: Warnings): Map<bigint, Set<Task>> {
  const owners = new Map<bigint, Set<Task>>();
  const reader = new TaskReader(kernel);
  const note = (files: bigint, process: Task) => {
    if (files === 0n) return;
    const known = owners.get(files);
    if (known) known.add(process);
    else owners.set(files, new Set([process]));
  };
  try {
    for (const process of reader.processes()) {
      if (process.kernelThread) continue;
      note(process.files, process);
      try {
        for (const { files } of reader.threads(process)) note(files, process);
      } catch (error) {
        const message = `threads of pid ${process.pid}: ${(error as Error).message}`;
        warnings.add(incompleteness(error), message);
      }
    }
  } catch (error) {
    warnings.add(incompleteness(error), `the list of processes: ${(error as Error).message}`);
  }
  return owners;
}
