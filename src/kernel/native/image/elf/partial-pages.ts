import type { MemoryImage } from '../image.js';

/** The smallest page: an edge within it is one within every larger page. */
const PAGE = 4096;

/**
 * Tells whether a page (of 4 KiB) is one that the image may hold a part of, by a physical address in
 * it. Only segments of an ELF file begin and end within pages.
 */
export function partialPages({ facts }: MemoryImage): (address: number) => boolean {
  const pages = new Set<number>();
  if (facts.format !== 'diskdump') {
    for (const { start, end } of facts.physicalRanges)
      for (const edge of [start, end]) if (edge % PAGE !== 0) pages.add(Math.floor(edge / PAGE));
  }
  return (address) => pages.has(Math.floor(address / PAGE));
}
