import type { KernelError, ReadError } from '../../../base/errors/kernel.js';
import type { PageArray } from '../../page-map.js';
import type { LinearRange } from '../address.js';
import type { EntryFormat } from './user-tables.js';

/**
 * What the native engine must know of an architecture: how a virtual address becomes a physical one.
 * It is built from VMCOREINFO alone, so that symbols can be read through it; `settle` then takes what
 * the kernel's own variables say.
 */
export interface Architecture {
  readonly name: 'x86_64' | 'arm64';
  /** What `uname -m` says, and headers of dumps. */
  readonly machine: 'x86_64' | 'aarch64';
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** How memory is paged, in words for people: `4-level page tables`. */
  readonly paging: string;
  /** Where the kernel image can lie, for whoever has to scan it. */
  readonly imageRange: { readonly start: bigint; readonly end: bigint };

  /**
   * Physical address of the byte at a virtual address, given in 32-bit halves, by the kernel's page
   * tables; -1 where they lead nowhere. Holds up to the end of the base page.
   *
   * @throws {ReadError} when a table cannot be read; its address is that of the table.
   */
  translate(high: number, low: number): number;

  /**
   * Physical addresses of the kernel's own page tables, each once.
   *
   * @throws {ReadError} when one that leads to others cannot be read
   */
  tables(): Generator<number>;

  /** How the page tables of processes are written. */
  readonly userEntries: EntryFormat;

  /** How an address is mapped: tells constants from code and from variables in the image. */
  protection(address: bigint): Protection | undefined;

  /** Finds the direct map and the array of `struct page`, and checks both against page tables. */
  settle(kernel: EarlyKernel): Bases;
}

export interface Protection {
  readonly writable: boolean;
  readonly executable: boolean;
}

/** A kernel whose symbols can be read, and little more. */
export interface EarlyKernel {
  symbol(name: string): bigint | undefined;
  read(address: bigint, length: number): DataView;
}

/** The two regions that a page and its memory are converted by. */
export interface Bases {
  readonly directMap: Sought<LinearRange>;
  /** The array of `struct page`: element n describes page frame n. */
  readonly pages: Sought<PageArray>;
}

/** A region that was found, and by what; or the error that whoever needs it gets. */
export type Sought<Region> =
  | { readonly found: Region; readonly from: string }
  | { readonly found: undefined; readonly error: KernelError | ReadError };
