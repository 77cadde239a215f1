import { ReadError } from '../../src/base/errors.js';
import type { MemoryImage, PhysicalRange } from '../../src/kernel/native/image/image.js';

/** Replacement bytes at a physical address; undefined for missing memory. */
export interface PhysicalPatch {
  readonly at: number;
  readonly bytes: Uint8Array | undefined;
  /** Number of missing bytes. */
  readonly length?: number;
}

/** An image with damaged physical memory, below everything that reads page tables. */
export function damagedImage(
  image: MemoryImage,
  patches: readonly PhysicalPatch[],
  vmcoreinfo = image.vmcoreinfo,
): MemoryImage {
  return {
    facts: image.facts,
    vmcoreinfo,
    ...(image.notes === undefined ? {} : { notes: image.notes }),
    virtualRanges: image.virtualRanges,
    readPhysical(address, length) {
      const view = image.readPhysical(address, length);
      let bytes: Uint8Array | undefined;
      for (const { at, bytes: patch, length: gone = 0 } of patches) {
        const end = at + (patch?.length ?? gone);
        if (at >= address + length || end <= address) continue;
        if (patch === undefined) throw new ReadError('filtered', BigInt(Math.max(at, address)));
        bytes ??= new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + length));
        for (let i = 0; i < patch.length; i++) {
          const into = at + i - address;
          if (into >= 0 && into < length) bytes[into] = patch[i]!;
        }
      }
      return bytes === undefined ? view : new DataView(bytes.buffer);
    },
    readVirtual: () => undefined,
    noteReads: () => image.noteReads(),
    close: () => image.close(),
  };
}

/** The reads of an image, by physical address. */
export function recordedImage(image: MemoryImage, ranges: PhysicalRange[]): MemoryImage {
  return {
    ...damagedImage(image, []),
    readPhysical(address, length) {
      ranges.push({ start: address, end: address + length });
      return image.readPhysical(address, length);
    },
  };
}
