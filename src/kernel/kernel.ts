import type { ReadError } from '../base/errors/kernel.js';
import type { FastReads } from './fast-reads.js';
import type { StructLayout } from './layout.js';
import type { PageMap } from './page-map.js';

/** What a kernel says of itself, fixed for as long as it is open. */
export interface KernelFacts {
  /** `uname -r`, for example `6.1.0-39-cloud-amd64`. */
  readonly release: string;
  readonly arch: 'x86_64' | 'arm64';
  /** Bytes of a base page. */
  readonly pageSize: number;
  readonly source: 'vmcore' | 'kcore';
  readonly engine: 'crash' | 'native';
  /** The memory changes while it is read: a torn list is then a race, not damage. */
  readonly live: boolean;
  /**
   * Bits in which pointer authentication signs a return address, all set in a plain one; absent where
   * the kernel does not say that it does (KERNELPACMASK, arm64).
   */
  readonly signatureMask?: bigint;
}

/** What makes all answers of a kernel doubtful: its types come from a file. */
export interface KernelDoubt {
  readonly code: 'types-not-verified' | 'types-incomplete';
  readonly message: string;
}

/** The name of an address in the kernel's code. */
export interface NamedAddress {
  readonly name: string;
  /** Bytes behind the symbol's start. */
  readonly offset: number;
  /** The module whose code it is; absent for the kernel's own. Hostile. */
  readonly module?: string;
}

/** What the kernel itself writes down of its structs for readers of its dump (VMCOREINFO). Bytes. */
export interface StatedLayout {
  /** OFFSET(struct.member). */
  offset(name: string): number | undefined;
  /** SIZE(struct). */
  size(name: string): number | undefined;
}

/** Sections of the sparse memory model: memory that is plugged in or out is so by sections. */
export interface MemorySections {
  /** Page frames of a section; the first begins at frame 0. */
  readonly frames: number;
  /**
   * Whether the kernel uses the memory of a frame's section: of memory that was plugged in and not
   * taken `struct page`s say nothing. False of all sections of a kernel older than 4.13.
   *
   * @throws {ReadError}
   */
  isOnline(frame: number): boolean;
}

/** What hardware, or the kernel in its place, notes in an entry that maps a page: written to, used. */
export const MARK = { dirty: 1, young: 2 } as const;

/** Is told what page tables of a process map. Pages are numbered by their address, in base pages. */
export interface UserPages {
  /** A table, by its page frame. */
  table(frame: number): void;
  /**
   * A page of memory that counts as the process's: what a device or the zero page backs is left out
   * (pte_special). `pages` base pages from `frame` on are mapped at once.
   *
   * @param marks of MARK: what hardware noted in the entry
   */
  page(page: number, pages: number, frame: number, marks: number): void;
  /** What was left out there. */
  special?(page: number, pages: number, frame: number): void;
  /**
   * An entry that maps nothing and is not empty: swapped out, on its way, or a marker.
   *
   * @param type number of the swap area (swp_type), behind those that there are what else it is; -1 where the
   *   layout of such entries does not tell
   * @param offset page of that area (swp_offset)
   */
  absent(page: number, pages: number, type: number, offset: number): void;
  /** A table that cannot be read: so many pages may be mapped, or not. */
  missing(page: number, pages: number, error: ReadError): void;
}

/**
 * One interface to a kernel's memory; both engines give exactly this, and walkers ask nothing else.
 *
 * Addresses are kernel virtual addresses as unsigned 64-bit bigints. Reads are synchronous: a linked
 * list is a chain of dependent reads, and plain loops are what a walker should look like.
 */
export interface Kernel {
  readonly facts: KernelFacts;

  /**
   * Reads `length` bytes at `address`, little-endian as in memory. The view may show a shared page
   * of a cache: never write to it; it stays valid for as long as it is referenced.
   *
   * @throws {ReadError} when any byte of the range cannot be had. Never answers with made-up zeros.
   */
  read(address: bigint, length: number): DataView;

  /** The address of a symbol of the kernel image, or undefined if the kernel names none. */
  symbol(name: string): bigint | undefined;

  /**
   * The layout of a struct, union or typedef of one, by its bare name (`sk_buff`, `skb_frag_t`), or
   * undefined if the kernel has no such type. `ring_buffer{data_pages}` is the one that has such a
   * member, for names that several structs share (the native engine alone). Resolved once and remembered: cheap to ask again.
   */
  struct(name: string): StructLayout | undefined;

  /** Names and values of an enum (`pageflags`), or undefined if the kernel has no such type. */
  enumerators(name: string): ReadonlyMap<string, bigint> | undefined;

  /** Converts between addresses, page frames and the `struct page`s that describe them. */
  readonly pages: PageMap;

  /**
   * The number behind the last page frame that the source of the bytes has; absent, or undefined,
   * where it doesn't tell. Firmware's memory may be among it.
   */
  memoryEnd?(): number | undefined;

  /**
   * Sections in which memory comes and goes. Absent, or undefined, where the engine does not know them.
   */
  readonly sections?: MemorySections | undefined;

  /**
   * Physical address of the byte at any kernel address, by the kernel's page tables; undefined where
   * nothing is mapped. Absent where the engine walks no page tables (crash).
   *
   * @throws {ReadError} when a table cannot be read
   */
  physicalOf?(address: bigint): number | undefined;

  /**
   * Physical addresses of the kernel's own page tables, each once. Absent as physicalOf is.
   *
   * @throws {ReadError} when one that leads to others cannot be read
   */
  pageTables?(): Iterable<number>;

  /**
   * Goes through the page tables of a process, in the order of its addresses. Absent as physicalOf is.
   *
   * @param root address of the top table in the direct map (`mm_struct.pgd`)
   * @throws {KernelError} `damaged` where they lead into each other, or `root` is none
   */
  userPages?(root: bigint, told: UserPages): void;

  /**
   * What the kernel's own messages call an address in its code or in a module's; undefined for one in
   * neither. Absent where the engine has no list of symbols (crash).
   *
   * @throws {ReadError}, {@link KernelError} where a module's symbols cannot be read
   */
  symbolAt?(address: bigint): NamedAddress | undefined;

  /**
   * What the source of the bytes notes of CPUs (`struct elf_prstatus`, NT_PRSTATUS), in its order; `by`
   * whom. Absent where the engine does not look at notes (crash).
   */
  readonly cpuNotes?: { readonly by: 'kernel' | 'qemu'; readonly notes: readonly DataView[] };

  /** Layouts that hold without types too. Absent where the engine does not look at VMCOREINFO (crash). */
  readonly stated?: StatedLayout;

  /** The kernel noted when it crashed (CRASHTIME). Absent where the engine does not look at VMCOREINFO (crash). */
  readonly crashed?: boolean;

  /** Warnings of every answer. Absent where types are the kernel's own (crash checks them itself). */
  readonly doubts?: readonly KernelDoubt[];

  /**
   * Notes what is read of a live kernel from here on. The returned function forgets that, so that the next read shows
   * memory as it is then, and ends the note; a note within another is no part of it. Dumps do not change: nothing is
   * done.
   */
  noteReads(): () => void;

  /** Absent where there is nothing faster than {@link read}, which then takes its place. */
  readonly fast?: FastReads;

  /** Ends the engine: closes files, ends processes. Safe to call twice. */
  close(): void;
}
