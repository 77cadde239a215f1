/** Number of bytes of `struct page`s read at once: what a dump image stores contiguously. */
const CHUNK_BYTES = 16_384;

/**
 * Minimum memory of a section, whose part of the array of `struct page` exists completely or not at all
 * (SECTION_SIZE_BITS is 27 to 30 in asm/sparsemem.h). Holes of the array are skipped section by section.
 */
const SECTION_BYTES = 2 ** 27;

/**
 * Number of `struct page`s read at once: even, so that the first two of a compound page are read together.
 */
export function pagesPerChunk(stride: number): number {
  return 2 * Math.floor(CHUNK_BYTES / stride / 2);
}

/** Number of page frames of a section: no read crosses the end of a section. */
export function framesPerSection(pageSize: number): number {
  return SECTION_BYTES / pageSize;
}
