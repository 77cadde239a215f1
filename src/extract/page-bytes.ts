import { ReadError } from '../base/errors/kernel.js';
import { bytesOf } from '../kernel/bytes.js';
import type { ByteRange, MemoryImage } from '../kernel/native/parts.js';
import type { Patches } from './anonymize/patcher.js';
import { type KeptPages, WHOLE } from './kept-pages.js';

type Ranges = ReturnType<KeptPages['rangesOf']>;

/** The bytes of a page as they are written: zeros over all that is not kept. */
export function bytesOfPage(
  image: MemoryImage,
  kept: KeptPages,
  page: number,
  patches: Patches,
): Uint8Array {
  const ranges = kept.rangesOf(page);
  const bytes = keptOf(image, kept.pageSize, page, ranges);
  for (const { at, bytes: patch } of patches.get(page) ?? []) {
    patch.forEach((byte, index) => {
      const isHere = ({ start, end }: ByteRange) => at + index >= start && at + index < end;
      if (ranges === WHOLE || ranges.some(isHere)) bytes[at + index] = byte;
    });
  }
  return bytes;
}

/** What is kept of a page, and zeros over all else. */
function keptOf(image: MemoryImage, pageSize: number, page: number, ranges: Ranges): Uint8Array {
  const bytes = new Uint8Array(pageSize);
  for (const { start, end } of ranges === WHOLE ? [{ start: 0, end: pageSize }] : ranges)
    bytes.set(bytesOf(image.readPhysical(page * pageSize + start, end - start)), start);
  return bytes;
}

/**
 * Keeps pages whole of which all else is zero anyway: then that can be told, too.
 *
 * @returns how many pages there are yet of which only a part is kept
 */
export function settle(image: MemoryImage, kept: KeptPages): number {
  let partial = 0;
  for (const page of kept.pages) {
    const ranges = kept.rangesOf(page);
    if (ranges === WHOLE) continue;
    if (isZeroBeside(image, kept.pageSize, page, ranges)) kept.keepWhole(page);
    else partial++;
  }
  return partial;
}

function isZeroBeside(
  image: MemoryImage,
  pageSize: number,
  page: number,
  ranges: readonly ByteRange[],
): boolean {
  try {
    const bytes = Uint8Array.from(bytesOf(image.readPhysical(page * pageSize, pageSize)));
    for (const { start, end } of ranges) bytes.fill(0, start, end);
    return bytes.every((byte) => byte === 0);
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}
