import type { KernelErrorCode, ReadErrorCode } from '../error.js';

/**
 * Where what the native engine knows comes from. Nothing is taken silently from elsewhere: what was
 * not found says why.
 */
export interface Provenance {
  /** Where VMCOREINFO was: the image's note, or a search through its memory. */
  readonly vmcoreinfo: 'note' | 'memory';
  readonly symbols: Found<'kallsyms' | 'System.map' | 'vmlinux'>;
  /** The kernel's own types; its modules' are told by `NativeKernel.moduleTypes`. */
  readonly types: Found<'dump' | 'vmlinux' | 'file'>;
  /** Base of the direct map. */
  readonly directMap: Found<'kernel'>;
  /** Base of the array of `struct page`. */
  readonly pages: Found<'kernel'>;
  /** How memory is paged: `4-level page tables`. */
  readonly paging: string;
  /** What is odd and does not keep the kernel from being read, one line each. */
  readonly oddities: readonly string[];
}

/** What kept it from being found. */
export type NotFoundCode = KernelErrorCode | ReadErrorCode;

/** A part that was found, and where; or not, and why. */
export type Found<Source extends string> =
  | { readonly found: true; readonly source: Source; readonly detail: string }
  | { readonly found: false; readonly code: NotFoundCode; readonly why: string };
