/** No block of the buddy allocator has more base pages. */
const MOST = 2 ** 20;

/** Base pages of the largest block that a frame can be the first of: each is aligned to its size. */
export function alignedBlock(frame: number): number {
  let size = 1;
  while (size < MOST && frame % (2 * size) === 0) size *= 2;
  return size;
}
