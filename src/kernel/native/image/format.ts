import type { ByteSource } from './byte-source.js';
import type { BlockCache } from './cache.js';
import type { MemoryImage } from './image.js';

/** A format of dumps: one file each, listed in `open.ts`. */
export interface ImageFormat {
  readonly name: string;
  /** Says why a file with this head is not of the format; undefined if it is. */
  probe(head: DataView): string | undefined;
  /**
   * Opens files that were probed. They are closed by the image, or by the caller if this throws.
   *
   * @throws {KernelError} on what keeps the image from being read at all.
   */
  open(sources: readonly ByteSource[], cache: BlockCache): MemoryImage;
}
