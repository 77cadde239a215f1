import type { NativeKernel } from '../../kernel/native/parts.js';

/** Code of the scheduler is some 30 KiB. */
const MOST_TEXT = 256 << 10;

/** crash disassembles how tasks are switched, and stops if it cannot: code, the same in every copy. */
export function readSchedulerText(kernel: NativeKernel): void {
  const start = kernel.symbol('__sched_text_start');
  const end = kernel.symbol('__sched_text_end');
  if (start === undefined || end === undefined || end < start) return;
  kernel.read(start, Math.min(Number(end - start), MOST_TEXT));
}
