import { ReadError } from '../base/errors/kernel.js';
import type { ImageFacts, MemoryImage, Note } from '../kernel/native/parts.js';
import type { KeptPages } from './kept-pages.js';

/**
 * An image that keeps what is read of it, to the byte. It must lie right under a kernel: what that
 * asks for is exact (page tables included), while everything below reads whole blocks.
 */
export class RecordingImage implements MemoryImage {
  readonly facts: ImageFacts;
  readonly vmcoreinfo: string;
  /** As they are: what is kept of them is chosen apart. */
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
      // Whoever asks again must fail at the same byte, and for the same reason.
      const readable = Number(error.address) - address;
      if (readable > 0 && readable < length) this.#kept.keep(address, readable);
      if (error.code !== 'absent') this.#kept.miss(Number(error.address));
      throw error;
    }
  }

  /** Never through the image's own map: page tables are to be kept too. */
  readVirtual(): undefined {
    return undefined;
  }

  noteReads(): () => void {
    return () => {};
  }

  /** Leaves the image open, which is not its own. */
  close(): void {}
}
