import { type Architecture, type NativeKernel, walkTables } from '../../kernel/native/parts.js';
import { attempt } from '../questions.js';
import { readCpus } from './cpus.js';
import { readMemoryBlocks } from './memory-blocks.js';
import { readNodes, readSections } from './memory-nodes.js';
import { readModules } from './modules.js';
import { readPids } from './pids.js';
import { readSchedulerText } from './scheduler-text.js';
import type { Store } from './store.js';
import { readTasks } from './tasks.js';
import { readUtsNames } from './uts-names.js';
import { readVariables } from './variables.js';

/**
 * Reads what crash and drgn must find to open a dump with their vmlinux, found out by watching them
 * (crash 9.0, drgn 0.0.33 on kernels 5.10 to 7.2). All of it describes the machine, none of it what
 * ran there: of a task no more than its names, numbers and place in the lists.
 */
export function readForDebuggers(kernel: NativeKernel, store: Store): void {
  readVariables(kernel);
  attempt(() => readSchedulerText(kernel));
  attempt(() => readUtsNames(kernel));
  attempt(() => readCpus(kernel, store));
  attempt(() => readNodes(kernel));
  attempt(() => readSections(kernel));
  attempt(() => readMemoryBlocks(kernel));
  attempt(() => readTasks(kernel, store));
  attempt(() => readPids(kernel));
  attempt(() => readModules(kernel));
}

/** drgn goes through page tables to the direct map too: reads those that lead to these pages. */
export function readDirectMapTables(
  kernel: NativeKernel,
  arch: Architecture,
  pages: readonly number[],
): void {
  for (const page of pages) {
    attempt(() => {
      const address = kernel.pages.addressOfPage(kernel.pages.pageOfFrame(page));
      if (address !== undefined) walkTables(arch, address);
    });
  }
}
