import { ReadError } from '../base/errors.js';
import { bytesOf } from '../kernel/bytes.js';
import type { ByteRange, ImageFacts, MemoryImage, Note } from '../kernel/native/parts.js';
import type { Patches } from './anonymize/replacements.js';
import { type KeptPages, WHOLE } from './kept-pages.js';

type Ranges = ReturnType<KeptPages['rangesOf']>;

/** The bytes of a page as they are written: zeros replace everything that is not kept. */
export function bytesOfPage(image: MemoryImage, kept: KeptPages, page: number, patches: Patches): Uint8Array {
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

/** Kept bytes of a page, and zeros. */
function keptOf(image: MemoryImage, pageSize: number, page: number, ranges: Ranges): Uint8Array {
  const bytes = new Uint8Array(pageSize);
  for (const { start, end } of ranges === WHOLE ? [{ start: 0, end: pageSize }] : ranges)
    bytes.set(bytesOf(image.readPhysical(page * pageSize + start, end - start)), start);
  return bytes;
}

/**
 * Keeps pages completely if all other bytes are zero anyway: then the dump can show that, too.
 *
 * @returns number of remaining partly kept pages
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

function isZeroBeside(image: MemoryImage, pageSize: number, page: number, ranges: readonly ByteRange[]): boolean {
  try {
    const bytes = Uint8Array.from(bytesOf(image.readPhysical(page * pageSize, pageSize)));
    for (const { start, end } of ranges) bytes.fill(0, start, end);
    return bytes.every((byte) => byte === 0);
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

/**
 * An image that records which bytes are read. It must be directly below a kernel, whose requests are exact
 * (page tables included), while lower layers read complete blocks.
 */
export class RecordingImage implements MemoryImage {
  readonly facts: ImageFacts;
  readonly vmcoreinfo: string;
  /** Unchanged: their kept bytes are chosen elsewhere. */
  readonly notes: readonly Note[];
  readonly virtualRanges = [];
  readonly #image: MemoryImage;
  readonly #kept: KeptPages;

  constructor(image: MemoryImage, vmcoreinfo: string, kept: KeptPages) {
    this.facts = image.facts;
    this.vmcoreinfo = vmcoreinfo;
    this.notes = image.notes ?? [];
    this.#image = image;
    this.#kept = kept;
  }

  readPhysical(address: number, length: number): DataView {
    try {
      const view = this.#image.readPhysical(address, length);
      this.#kept.keep(address, length);
      return view;
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      // A repeated read must fail at the same byte, for the same reason.
      const readable = Number(error.address) - address;
      if (readable > 0 && readable < length) this.#kept.keep(address, readable);
      if (error.code !== 'absent') this.#kept.miss(Number(error.address));
      throw error;
    }
  }

  /** Never through the image's own map: page tables must be recorded, too. */
  readVirtual(): undefined {
    return undefined;
  }

  noteReads(): () => void {
    return () => {};
  }

  /** Does nothing: the image is closed by its owner. */
  close(): void {}
}
