import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';

/**
 * Frames of the top page tables of processes (`mm_struct.pgd`), which are no page tables to the kernel's
 * counters. With KPTI there are two behind each other, of which only the first is named.
 *
 * @throws as taskTable does; {@link KernelError} `damaged` of a process without; after all others, if tasks are lost
 */
export function* pageDirectories(kernel: Kernel): Generator<number> {
  const task = new StructReader(kernel, 'task_struct', ['mm', 'active_mm']);
  const memory = new StructReader(kernel, 'mm_struct', ['pgd']);
  const { processes, lost } = taskTable(kernel);
  const seen = new Set<bigint>([0n]);
  const found = new Set<bigint>();
  const own = kernel.symbol('init_mm');
  const at = new Pointer();
  for (const process of processes) {
    const view = task.read(process.address);
    for (const mm of [view.pointer('mm'), view.pointer('active_mm')]) {
      if (seen.has(mm)) continue;
      seen.add(mm);
      const pgd = memory.read(mm).pointer('pgd');
      if (found.has(pgd) && !kernel.facts.live)
        throw new KernelError('damaged', `two mms have their page tables at ${hex(pgd)}`);
      found.add(pgd);
      const frame = kernel.pages.frameOf(at.set(pgd));
      if (frame >= 0) yield frame;
      // That of the kernel's own memory lies in the image.
      else if (mm !== own)
        throw new KernelError('damaged', `the mm at ${hex(mm)} has no page tables`);
    }
  }
  if (lost) throw lost;
}
