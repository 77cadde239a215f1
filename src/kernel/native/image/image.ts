import type { ByteWindow } from '../../fast-reads.js';
import type { Note } from './notes.js';

/**
 * Where a kernel's bytes come from: a dump file of some format, or /proc/kcore. Physical addresses
 * are numbers (at most 52 bits, exact in a double); virtual ones are unsigned 64-bit bigints.
 */
export interface MemoryImage {
  readonly facts: ImageFacts;

  /** The text of the VMCOREINFO note, or undefined if the image carries none. Hostile. */
  readonly vmcoreinfo: string | undefined;

  /** The ELF notes that the image carries: registers of each CPU, VMCOREINFO. Hostile. */
  readonly notes?: readonly Note[];

  /**
   * Virtual ranges that the image maps by itself, in order of address: the PT_LOADs of /proc/kcore
   * and of a kdump's ELF core. Empty where only physical memory is stored. Found while it is iterated.
   */
  readonly virtualRanges: Iterable<VirtualRange>;

  /**
   * Reads physical memory. The view may show a cached block: never write to it; it stays valid.
   *
   * @throws {ReadError} `filtered`, `absent`, `damaged` or `truncated`; never answers made-up zeros.
   */
  readPhysical(address: number, length: number): DataView;

  /**
   * Says where bytes of physical memory lie in a block that is kept anyway: a read that makes nothing.
   * What it shows may be overwritten by the next read. False where readPhysical is to be asked.
   *
   * @throws as readPhysical does
   */
  show?(address: number, length: number, window: ByteWindow): boolean;

  /**
   * Reads through `virtualRanges`, without page tables: the only way into /proc/kcore's vmalloc
   * area. Undefined where no range holds `address`; throws as readPhysical does.
   */
  readVirtual(address: bigint, length: number): DataView | undefined;

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
  /** Physical address of the first byte, or undefined where the image doesn't say (vmalloc). */
  readonly physical: number | undefined;
}

/** What can be told of an image before anything in it is understood. */
export interface ImageFacts {
  /** Such as `ELF core (kdump)`, `kdump compressed, version 6`, `/proc/kcore`. */
  readonly format: 'elf' | 'diskdump' | 'kcore';
  /** Words for people: format, variant, version, who wrote it where that is known. */
  readonly description: string;
  /** How pages are stored, in the order found; `none` for plain bytes. */
  readonly compression: readonly ('none' | 'zlib' | 'lzo' | 'snappy' | 'zstd')[];
  /** The machine that the headers name (`x86_64`, `aarch64`, `ppc64` …), or undefined. */
  readonly machine: string | undefined;
  /** The kernel's release where a header holds it (`6.1.0-39-amd64`); VMCOREINFO knows better. */
  readonly release?: string | undefined;
  /** makedumpfile's dump level (a bit mask, 0 to 31), or undefined where no header says it. */
  readonly dumpLevel: number | undefined;
  /** The files that make it up, in order. */
  readonly files: readonly string[];
  /**
   * Physical memory that is stored or known to be zero, in order, joined where adjacent. Found while
   * it is iterated (a filtered terabyte has millions of ranges): stop early where possible.
   */
  readonly physicalRanges: Iterable<PhysicalRange>;
  /**
   * Physical memory that exists, stored or left out; undefined where the format doesn't tell (an ELF
   * core has no place for what was left out). Found while it is iterated.
   */
  readonly existingRanges?: Iterable<PhysicalRange>;
  /** The memory changes while it is read. */
  readonly live: boolean;
  /** What is odd about the file and does not stop reading it (such as a cut end), one line each. */
  readonly anomalies: readonly string[];
}
