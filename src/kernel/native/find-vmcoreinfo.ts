import { ReadError } from '../../base/errors/kernel.js';
import type { ByteWindow } from '../fast-reads.js';
import type { MemoryImage } from './image/image.js';

/** A search ends after so many milliseconds: a large dump takes minutes to inflate. */
const MOST_MILLISECONDS = 20_000;
/** Pages between two looks at the clock. */
const PAGES_PER_LOOK = 4096;
const MOST_CANDIDATES = 64;
const STEP = 4096;
/** The kernel's VMCOREINFO_BYTES is a page; its text has stayed under 4 KiB. */
const TEXT_BYTES = 4096;
/** An ELF note's header and the padded name `VMCOREINFO`. */
const NOTE_HEADER = 24;
/** `OSRE`, read as a little-endian word: every kernel writes OSRELEASE first. */
const START = 0x4552534f;

/**
 * Texts in memory that look like VMCOREINFO, for dumps that carry no note (a guest without QEMU's
 * `-device vmcoreinfo`): the kernel keeps it at the start of a page, plain and as an ELF note. A
 * candidate may be stale or copied: whoever takes one must check it against the kernel.
 *
 * @param search is told how far the search came, in bytes, and whether that was all memory
 */
export function* findVmcoreinfo(
  image: MemoryImage,
  search: { searched: number; complete: boolean },
): Generator<string> {
  const began = performance.now();
  const window: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };
  let pages = 0;
  let found = 0;
  for (const { start, end } of image.facts.physicalRanges) {
    for (let page = Math.ceil(start / STEP) * STEP; page + STEP <= end; page += STEP) {
      search.searched += STEP;
      if (++pages % PAGES_PER_LOOK === 0 && performance.now() - began > MOST_MILLISECONDS) return;
      const text = textAt(image, page, window);
      if (text === undefined) continue;
      yield text;
      if (++found >= MOST_CANDIDATES) return;
    }
  }
  search.complete = true;
}

function textAt(image: MemoryImage, page: number, window: ByteWindow): string | undefined {
  try {
    if (!image.show?.(page, NOTE_HEADER + 4, window)) {
      window.view = image.readPhysical(page, NOTE_HEADER + 4);
      window.base = 0;
    }
    const { view: head, base } = window;
    const plain = head.getUint32(base, true) === START;
    if (!plain && head.getUint32(base + NOTE_HEADER, true) !== START) return undefined;
    const view = image.readPhysical(page, TEXT_BYTES);
    const bytes = Buffer.from(view.buffer, view.byteOffset, TEXT_BYTES);
    const text = bytes.subarray(plain ? 0 : NOTE_HEADER);
    // It ends where the first byte is that no line of it can hold.
    const last = text.findIndex((byte) => byte !== 0x0a && (byte < 0x20 || byte > 0x7e));
    const words = text.toString('latin1', 0, last < 0 ? text.length : last);
    return words.startsWith('OSRELEASE=') && words.includes('\nSYMBOL(') ? words : undefined;
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}
