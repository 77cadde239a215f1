import { unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from './task-table.js';

/** Maximum stack size of any kernel (KASAN on arm64 with 64 KiB pages). */
const MAX_STACK = 1n << 19n;

/**
 * THREAD_SIZE, in bytes: that of the first task's stack, which is between two symbols, or that of the first
 * process's vmalloc area.
 */
export function stackSize(kernel: Kernel): bigint {
  for (const name of ['init_stack', 'init_task']) {
    const [start, end] = [kernel.symbol(`__start_${name}`), kernel.symbol(`__end_${name}`)];
    if (start === undefined || end === undefined) continue;
    const size = end - start;
    if (size > 0n && size <= MAX_STACK && (size & (size - 1n)) === 0n) return size;
  }
  const area = kernel.struct('task_struct')?.member('stack_vm_area');
  const [first] = taskTable(kernel).processes;
  if (area !== undefined && first !== undefined) {
    const at = first.address + BigInt(area.offset);
    const pages = new StructReader(kernel, 'vm_struct', ['nr_pages']);
    const view = pages.read(pointerPartOf(kernel, 'struct task_struct', first.address, at));
    const size = BigInt(view.number('nr_pages') * kernel.facts.pageSize);
    if (size > 0n && size <= MAX_STACK) return size;
  }
  throw unsupportedLayout('stack size is unknown');
}
