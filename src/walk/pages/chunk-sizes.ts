/** Bytes of `struct page` that are looked at together: what an image keeps in one piece. */
const CHUNK_BYTES = 16_384;

/**
 * Memory whose part of the array of `struct page` is there or not as a whole: a section, which has as
 * much at least (SECTION_SIZE_BITS is 27 to 30 in asm/sparsemem.h). Where the array has a hole, it is
 * passed over section by section.
 */
const SECTION_BYTES = 2 ** 27;

/** `struct page`s that are looked at together: an even number, so that the second of a compound page lies with the first. */
export function pagesPerChunk(stride: number): number {
  return 2 * Math.floor(CHUNK_BYTES / stride / 2);
}

/** Page frames of a section, beyond which nothing is looked at together. */
export function framesPerSection(pageSize: number): number {
  return SECTION_BYTES / pageSize;
}
