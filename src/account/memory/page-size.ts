import type { MemoryAnswer } from './answer.js';

/** Bytes of a base page, of whatever was looked at. */
export function pageSizeOf({ kernel, host }: Pick<MemoryAnswer, 'kernel' | 'host'>): number {
  const size = kernel?.pageSize ?? host?.pageSize;
  if (size === undefined) throw new TypeError('an answer of neither a kernel nor a host');
  return size;
}
