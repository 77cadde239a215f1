import { ReadError } from '../../src/kernel/error.js';
import type { MemoryImage, PhysicalRange } from '../../src/kernel/native/image/image.js';
import type { Random } from './random.js';
import { littleEndian, wildValue } from './values.js';

/** Bytes that stand at a physical address instead of what is there; none for memory that is missing. */
export interface PhysicalPatch {
  readonly at: number;
  readonly bytes: Uint8Array | undefined;
  /** Bytes that are missing. */
  readonly length?: number;
}

/** An image some of whose physical memory is damaged, below all that reads page tables. */
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

/** Another 64-bit word for an entry of a page table: nearly right is worse than wild. */
export function wildEntry(random: Random, old: bigint, root: number): bigint {
  const place = (1n << 52n) - (1n << 12n);
  return random.pick([
    () => (old & ~place) | BigInt(root),
    () => BigInt(root) | random.pick([1n, 3n, 0x63n, 0xe3n, 0x701n, 0x703n]),
    () => old ^ (1n << BigInt(random.below(64))),
    () => (old & ~3n) | BigInt(random.below(4)),
    () => old | (random.word() & place),
    () => (old & ~place) | (random.word() & place),
    () => old + BigInt(4096 * (random.below(33) - 16)),
    () => wildValue(random, old, 8),
  ])();
}

/** Damages a word among what was read, or takes its page away. */
export function damageWord(
  random: Random,
  image: MemoryImage,
  at: number,
  value: (old: bigint) => bigint,
): PhysicalPatch {
  if (random.oneIn(10)) return { at: at - (at % 4096), bytes: undefined, length: 4096 };
  const old = image.readPhysical(at, 8).getBigUint64(0, true);
  return { at, bytes: littleEndian(value(old), 8) };
}

export function tellPatch({ at, bytes }: PhysicalPatch): string {
  const what = bytes ? Buffer.from(bytes).toString('hex') : 'is missing';
  return `physical 0x${at.toString(16)}: ${what}`;
}

/** What an image was asked for, by physical address. */
export function recordedImage(image: MemoryImage, ranges: PhysicalRange[]): MemoryImage {
  return {
    ...damagedImage(image, []),
    readPhysical(address, length) {
      ranges.push({ start: address, end: address + length });
      return image.readPhysical(address, length);
    },
  };
}
