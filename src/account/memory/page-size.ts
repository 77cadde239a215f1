import type { MemoryAnswer } from './answer.js';

/** Returns the base page size of the kernel or host in bytes. */
export function pageSizeOf({ kernel, host }: Pick<MemoryAnswer, 'kernel' | 'host'>): number {
  const size = kernel?.pageSize ?? host?.pageSize;
  if (size === undefined) throw new TypeError('an answer of neither a kernel nor a host');
  return size;
}
