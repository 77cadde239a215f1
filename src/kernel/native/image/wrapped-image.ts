import type { ImageFacts, MemoryImage, VirtualRange } from './image.js';
import type { Note } from './notes.js';

/** An image that reads physical memory in its own way, and is else what it wraps. */
export abstract class WrappedImage implements MemoryImage {
  readonly facts: ImageFacts;
  readonly vmcoreinfo: string | undefined;
  readonly notes: readonly Note[];
  readonly virtualRanges: Iterable<VirtualRange>;
  protected readonly image: MemoryImage;

  constructor(image: MemoryImage, facts: Partial<ImageFacts>) {
    this.image = image;
    this.facts = { ...image.facts, ...facts };
    this.vmcoreinfo = image.vmcoreinfo;
    this.notes = image.notes ?? [];
    this.virtualRanges = image.virtualRanges;
  }

  abstract readPhysical(address: number, length: number): DataView;

  readVirtual(address: bigint, length: number): DataView | undefined {
    return this.image.readVirtual(address, length);
  }

  noteReads(): () => void {
    return this.image.noteReads();
  }

  close(): void {
    this.image.close();
  }
}
