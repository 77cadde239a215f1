/** What a log without a known prefix means to its reader. */
export const UNKNOWN_FORMAT = 'unknown log format: lines of other programs may be taken for kernel messages';

/** Words for lines that look like a kernel's without a known prefix. */
export function linesLike(count: number): string {
  return count === 1
    ? '1 line looks like a kernel message'
    : `${count.toLocaleString('en-US')} lines look like kernel messages`;
}

/** Whether the reason of a panic is SysRq-c (sysrq_handle_crash, drivers/tty/sysrq.c): the kernel reported no fault. */
export const isRequestedCrash = (reason: string): boolean => /^sysrq triggered crash/i.test(reason);

/** The same of an oops: before 5.0 this function writes to a null pointer. */
export const isRequestedOops = (symbol: unknown): boolean => symbol === 'sysrq_handle_crash';
