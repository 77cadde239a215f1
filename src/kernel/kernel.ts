import type { ReadError } from '../base/errors.js';
import type { FastReads } from './bytes.js';
import type { StructLayout } from './layout.js';
import type { PageMap } from './page-map.js';

/** Properties of a kernel that stay constant while it is open. */
export interface KernelFacts {
  /** `uname -r`, for example `6.1.0-39-cloud-amd64`. */
  readonly release: string;
  readonly arch: 'x86_64' | 'arm64';
  /** Bytes of a base page. */
  readonly pageSize: number;
  readonly source: 'vmcore' | 'kcore';
  readonly engine: 'crash' | 'native';
  /** The memory changes while it is read: a torn list is then a race, not corruption. */
  readonly live: boolean;
  /**
   * Pointer authentication bits of a return address, all set in an unsigned one; absent where the
   * kernel does not state them (KERNELPACMASK, arm64).
   */
  readonly signatureMask?: bigint;
}

/** Why every result from this kernel is uncertain: its types come from a file, or the file contradicts itself. */
export interface KernelDoubt {
  readonly code: 'types-not-verified' | 'types-incomplete' | 'corrupt';
  readonly message: string;
}

export interface NamedAddress {
  readonly name: string;
  /** Bytes from the symbol's start. */
  readonly offset: number;
  /** Module that contains the code; absent for the kernel image. Hostile. */
  readonly module?: string;
}

/** Struct layouts that the kernel exports for dump readers (VMCOREINFO). Bytes. */
export interface StatedLayout {
  /** OFFSET(struct.member). */
  offset(name: string): number | undefined;
  /** SIZE(struct). */
  size(name: string): number | undefined;
}

/** Sections of the sparse memory model, the unit of memory hotplug. */
export interface MemorySections {
  /** Page frames per section; section 0 begins at frame 0. */
  readonly frames: number;
  /**
   * Whether the section of a frame is online: the `struct page`s of memory that was hot-added but
   * not onlined are meaningless. Always false before 4.13.
   *
   * @throws {ReadError}
   */
  isOnline(frame: number): boolean;
  /**
   * Address of the `struct mem_section` of a frame; undefined: there is none.
   *
   * @throws {ReadError}
   */
  addressOf(frame: number): bigint | undefined;
}

/** Dirty and accessed bits of a page table entry, set by hardware or by the kernel in its place. */
export const MARK = { dirty: 1, young: 2 } as const;

/** Visitor of a process's page tables. Pages are numbered by virtual address, in base pages. */
export interface UserPages {
  /**
   * A page table, by its page frame. False: its entries are not visited.
   *
   * @param levelsBelow levels of tables below it: 0 is the lowest
   */
  table(frame: number, levelsBelow: number): boolean | undefined;
  /**
   * A page that counts towards the process's memory; device memory and the zero page are excluded
   * (pte_special). Maps `pages` base pages from `frame` on.
   *
   * @param marks bits of MARK from the entry
   */
  page(page: number, pages: number, frame: number, marks: number): void;
  /** A page that `page` excludes. */
  special?(page: number, pages: number, frame: number): void;
  /**
   * A non-empty entry that maps nothing: swapped out, under migration, or a marker.
   *
   * @param type number of the swap area (swp_type); above the last area, special entries; -1 where the layout
   *   of such entries is unknown
   * @param offset page in that area (swp_offset)
   */
  absent(page: number, pages: number, type: number, offset: number): void;
  /** A table that cannot be read: this many pages may or may not be mapped. */
  missing(page: number, pages: number, error: ReadError): void;
}

/**
 * Common interface to a kernel's memory, implemented by both engines; walkers use nothing else.
 *
 * Addresses are kernel virtual addresses as unsigned 64-bit bigints. Reads are synchronous: a
 * linked list is a chain of dependent reads, so walkers are plain loops.
 */
export interface Kernel {
  readonly facts: KernelFacts;

  /**
   * Reads `length` bytes at `address`, little-endian as in memory. The view may alias a shared
   * cached page: never write to it; it stays valid as long as it is referenced.
   *
   * @throws {ReadError} when any byte of the range cannot be read. Never substitutes zeros.
   */
  read(address: bigint, length: number): DataView;

  /** Returns the address of a symbol of the kernel image, or undefined if there is none. */
  symbol(name: string): bigint | undefined;

  /**
   * Returns the layout of a struct, union, or typedef of one, by its bare name (`sk_buff`, `skb_frag_t`);
   * undefined if the kernel has no such type. `ring_buffer{data_pages}` selects the type with that member,
   * for names that several structs share (native engine only). Cached after the first call.
   */
  struct(name: string): StructLayout | undefined;

  /** Names and values of an enum (`pageflags`), or undefined if the kernel has no such type. */
  enumerators(name: string): ReadonlyMap<string, bigint> | undefined;

  /** Converts between addresses, page frames and the `struct page`s that describe them. */
  readonly pages: PageMap;

  /**
   * Number of page frames up to the last one in the dump; absent, or undefined, where unknown. May
   * include firmware's memory.
   */
  memoryEnd?(): number | undefined;

  /** Memory hotplug sections. Absent, or undefined, where the engine does not know them. */
  readonly sections?: MemorySections | undefined;

  /**
   * Translates a kernel address by the kernel's page tables; undefined where nothing is mapped.
   * Absent where the engine walks no page tables (crash).
   *
   * @throws {ReadError} when a table cannot be read
   */
  physicalOf?(address: bigint): number | undefined;

  /**
   * Physical addresses of the kernel's own page tables, each once. Absent where physicalOf is.
   *
   * @throws {ReadError} when an upper-level table cannot be read
   */
  pageTables?(): Iterable<number>;

  /**
   * Walks the page tables of a process in address order. Absent where physicalOf is.
   *
   * @param root direct-map address of the top table (`mm_struct.pgd`)
   * @throws {KernelError} `damaged` where tables form a loop, or `root` is not a page table
   */
  userPages?(root: bigint, visitor: UserPages): void;

  /**
   * Symbolizes a code address of the kernel or a module as the kernel's own messages do; undefined
   * for any other address. Absent where the engine has no symbol list (crash).
   *
   * @throws {ReadError}, {@link KernelError} where a module's symbols cannot be read
   */
  symbolAt?(address: bigint): NamedAddress | undefined;

  /** Memory by physical address. Absent where the engine does not read it (crash). */
  readonly physical?: PhysicalMemory;

  /**
   * Names the variable of a loaded module that an address is in, or behind; undefined for any other address. Absent
   * where symbolAt is. @throws as symbolAt
   */
  variableAt?(address: bigint): NamedAddress | undefined;

  /**
   * Per-CPU register notes of the dump (`struct elf_prstatus`, NT_PRSTATUS), in order; `by`: the
   * writer. Absent where the engine does not read notes (crash).
   */
  readonly cpuNotes?: { readonly by: 'kernel' | 'qemu'; readonly notes: readonly DataView[] };

  /** Layouts that are known without types. Absent where the engine does not read VMCOREINFO (crash). */
  readonly stated?: StatedLayout;

  /** Seconds since 1970 of the crash that VMCOREINFO records. Absent: none, or VMCOREINFO is not read (crash). */
  readonly crashTime?: number | undefined;

  /** Warnings that apply to every result. Absent where types are the kernel's own (crash checks them itself). */
  readonly doubts?: readonly KernelDoubt[];

  /**
   * Starts recording which memory of a live kernel is read. The returned function stops recording
   * and drops the recorded memory from the cache, so that the next read is fresh; recordings nested
   * within another are separate. No effect on dumps, which do not change.
   */
  noteReads(): () => void;

  /** Absent where the engine has nothing faster than {@link read}. */
  readonly fast?: FastReads;

  /** Closes files and ends child processes. Idempotent. */
  close(): void;
}

/** Physical addresses that a source of memory contains, `end` exclusive. */
export interface StoredRange {
  readonly start: number;
  readonly end: number;
}

/** Stored memory that lies in an open file as it was in memory: neither compressed nor filtered. */
export interface FileRange extends StoredRange {
  /** File descriptor of this process. */
  readonly descriptor: number;
  /** Position of the first byte. */
  readonly offset: number;
}

/** Memory of a kernel by physical address, for passes over all of it. */
export interface PhysicalMemory {
  /** Most memory is missing on purpose: `kdump-mem extract` wrote it. */
  readonly isExtract: boolean;
  /** Ranges that are stored or known to be zero, in ascending order. */
  readonly stored: Iterable<StoredRange>;
  /** The same ranges by place in a file; undefined where they are not plain bytes of one file. */
  readonly inFile: Iterable<FileRange> | undefined;

  /** @throws {ReadError} */
  read(address: number, length: number): DataView;
  /** Whether the dump stores the 4 KiB around an address as the page of zeros that it has once; false: not known. */
  isZero?(address: number): boolean;
}
