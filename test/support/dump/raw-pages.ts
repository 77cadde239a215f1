import { FileSource } from '../../../src/kernel/native/image/byte-source.js';
import { BlockCache } from '../../../src/kernel/native/image/cache.js';
import { diskdump } from '../../../src/kernel/native/image/diskdump/diskdump.js';

/** All pages that a "kdump compressed" file stores, inflated, with any contents. */
export function rawPages(path: string, pageSize = 4096): Map<number, Buffer> {
  const image = diskdump.open([new FileSource(path)], new BlockCache());
  const pages = new Map<number, Buffer>();
  for (const { start, end } of image.facts.physicalRanges) {
    for (let at = start; at < end; at += pageSize) {
      const view = image.readPhysical(at, pageSize);
      pages.set(at / pageSize, Buffer.from(view.buffer, view.byteOffset, pageSize));
    }
  }
  image.close();
  return pages;
}
