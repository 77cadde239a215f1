import type { ByteWindow } from '../../bytes.js';
import type { FileRange } from '../../kernel.js';
import type { ByteSource } from './byte-source.js';
import type { BlockCache } from './cache.js';
import type { Note } from './notes.js';

/**
 * Source of a kernel's memory: a dump file of some format, or /proc/kcore. Physical addresses are
 * numbers (at most 52 bits, exact in a double); virtual ones are unsigned 64-bit bigints.
 */
export interface MemoryImage {
  readonly facts: ImageFacts;

  /** Text of the VMCOREINFO note, or undefined if the image has none. Hostile. */
  readonly vmcoreinfo: string | undefined;

  /** ELF notes of the image: registers of each CPU, VMCOREINFO. Hostile. */
  readonly notes?: readonly Note[];

  /**
   * Virtual ranges that the image maps itself, in address order: the PT_LOADs of /proc/kcore and of
   * a kdump's ELF core. Empty if only physical memory is stored. Computed during iteration.
   */
  readonly virtualRanges: Iterable<VirtualRange>;

  /**
   * Reads physical memory. The view may alias a cached block: never write to it; it stays valid.
   *
   * @throws {ReadError} `filtered`, `absent`, `damaged` or `truncated`; never substitutes zeros.
   */
  readPhysical(address: number, length: number): DataView;

  /**
   * Points `window` at bytes of physical memory in a cached block, without allocating. The next
   * read may overwrite them. Returns false if readPhysical must be used instead.
   *
   * @throws as readPhysical does
   */
  locate?(address: number, length: number, window: ByteWindow): boolean;

  /** See {@link PhysicalMemory.isZero}. */
  isZero?(address: number): boolean;

  /** See {@link FastReads.ahead}. */
  ahead?(ranges: Iterable<PhysicalRange>, count: number): () => void;

  /**
   * Reads through `virtualRanges`, without page tables: the only way to read /proc/kcore's vmalloc
   * area. Undefined if no range contains `address`; throws as readPhysical does.
   */
  readVirtual(address: bigint, length: number): DataView | undefined;

  /** `physicalRanges` by place in the file; undefined where they are not plain bytes of one file. */
  readonly inFile?: Iterable<FileRange> | undefined;

  /** See {@link Kernel.noteReads}. */
  noteReads(): () => void;

  close(): void;
}

/** Physical addresses, `end` exclusive. */
export interface PhysicalRange {
  readonly start: number;
  readonly end: number;
}

export interface VirtualRange {
  readonly address: bigint;
  /** Bytes. */
  readonly length: number;
  /** Physical address of the first byte, or undefined if unknown (vmalloc). */
  readonly physical: number | undefined;
}

/** Properties of an image that are known without interpreting its memory. */
export interface ImageFacts {
  /** Such as `ELF core (kdump)`, `kdump compressed, version 6`, `/proc/kcore`. */
  readonly format: 'elf' | 'diskdump' | 'kcore';
  /** Description for users: format, variant, version, and the writer if known. */
  readonly description: string;
  /** Compression of the pages, in the order found; `none` for plain bytes. */
  readonly compression: readonly ('none' | 'zlib' | 'lzo' | 'snappy' | 'zstd')[];
  /** Machine name in the headers (`x86_64`, `aarch64`, `ppc64` …), or undefined. */
  readonly machine: string | undefined;
  /** Kernel release from a header (`6.1.0-39-amd64`); VMCOREINFO is more reliable. */
  readonly release?: string | undefined;
  /** makedumpfile's dump level (a bit mask, 0 to 31), or undefined if no header states it. */
  readonly dumpLevel: number | undefined;
  readonly files: readonly string[];
  /**
   * Physical memory that is stored or known to be zero, in order, adjacent ranges merged. Computed
   * during iteration (a filtered terabyte has millions of ranges): stop early where possible.
   */
  readonly physicalRanges: Iterable<PhysicalRange>;
  /**
   * Physical memory that exists, stored or filtered; undefined if the format does not record it (an
   * ELF core has no entries for filtered pages). Computed during iteration.
   */
  readonly existingRanges?: Iterable<PhysicalRange>;
  /** The memory changes while it is read. */
  readonly live: boolean;
  /** Problems of the file that do not prevent reading it (such as truncation), one line each. */
  readonly anomalies: readonly string[];
  /** The one of them by which any memory may be wrong. */
  readonly contradiction?: string | undefined;
}

/** Kinds of pages that makedumpfile can exclude, by their bit in its dump level (makedumpfile(8), -d). */
const KINDS = [
  { bit: 1, kind: 'zero' },
  { bit: 2, kind: 'cache' },
  { bit: 4, kind: 'private-cache' },
  { bit: 8, kind: 'user' },
  { bit: 16, kind: 'free' },
] as const;

export type FilteredKind = (typeof KINDS)[number]['kind'];

/** The kinds of pages that a dump level excludes. */
export function filteredKinds(dumpLevel: number): FilteredKind[] {
  return KINDS.filter(({ bit }) => (dumpLevel & bit) !== 0).map(({ kind }) => kind);
}

/** A dump format: one file each, listed in `open.ts`. */
export interface ImageFormat {
  readonly name: string;
  /** Returns why a file with this head is not of the format; undefined if it is. */
  probe(head: DataView): string | undefined;
  /**
   * Opens files that were probed. They are closed by the image, or by the caller if this throws.
   *
   * @throws {KernelError} if the image cannot be read at all.
   */
  open(sources: readonly ByteSource[], cache: BlockCache): MemoryImage;
}

/** An image that reads physical memory its own way and otherwise delegates to another one. */
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

/** Merges ranges, in order of their starts, that touch or overlap. */
export function* joined(ranges: Iterable<PhysicalRange>): Generator<PhysicalRange> {
  let start = 0;
  let end = -1;
  for (const range of ranges) {
    if (range.start <= end) {
      end = Math.max(end, range.end);
      continue;
    }
    if (end > start) yield { start, end };
    ({ start, end } = range);
  }
  if (end > start) yield { start, end };
}

/** Index of the last of ascending numbers that is not above `value`, or -1. */
export function lastAtOrBelow(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Index of the first of ascending ranges that ends above `value`, or their number. */
export function firstEndingAbove(ranges: readonly { readonly end: number }[], value: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]!.end <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
