import type { KernelError, ReadError } from '../../../base/errors.js';
import type { PageArray } from '../../page-map.js';
import type { LinearRange } from '../address.js';
import type { EntryFormat } from './user-tables.js';

/**
 * Architecture support of the native engine: translation of virtual to physical addresses. Built from
 * VMCOREINFO alone, so that symbols can be read through it; `settle` then uses the kernel's own variables.
 */
export interface Architecture {
  readonly name: 'x86_64' | 'arm64';
  /** Machine name as in `uname -m` and in dump headers. */
  readonly machine: 'x86_64' | 'aarch64';
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** Description of the paging mode: `4-level page tables`. */
  readonly paging: string;
  /** Address range in which the kernel image can be, for scans. */
  readonly imageRange: { readonly start: bigint; readonly end: bigint };

  /**
   * Translates a virtual address, given in 32-bit halves, by the kernel's page tables; -1 where
   * nothing is mapped. Valid up to the end of the base page.
   *
   * @throws {ReadError} when a table cannot be read; its address is that of the table.
   */
  translate(high: number, low: number): number;

  /**
   * Physical addresses of the kernel's own page tables, each once.
   *
   * @throws {ReadError} when an upper-level table cannot be read
   */
  tables(): Generator<number>;

  /** Entry format of the page tables of processes. */
  readonly userEntries: EntryFormat;

  /** Protection of an address: distinguishes constants, code and variables in the image. */
  protection(address: bigint): Protection | undefined;

  /** Locates the direct map and the array of `struct page`, and checks both against page tables. */
  settle(kernel: EarlyKernel): Bases;
}

export interface Protection {
  readonly writable: boolean;
  readonly executable: boolean;
}

/** A partially opened kernel: its symbols can be read, and little else. */
export interface EarlyKernel {
  symbol(name: string): bigint | undefined;
  read(address: bigint, length: number): DataView;
}

/** The two regions needed to convert between a page and its memory. */
export interface Bases {
  readonly directMap: RegionResult<LinearRange>;
  /** The array of `struct page`: element n describes page frame n. */
  readonly pages: RegionResult<PageArray>;
}

/** A region that was found, with its source; or the error to throw when it is needed. */
export type RegionResult<Region> =
  | { readonly found: Region; readonly from: string }
  | { readonly found: undefined; readonly error: KernelError | ReadError };
