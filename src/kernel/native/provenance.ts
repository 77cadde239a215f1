import type { KernelErrorCode, ReadErrorCode } from '../../base/errors/kernel.js';
import type { KernelDoubt } from '../kernel.js';
import type { TypesVerified } from '../symbol-file.js';

/**
 * Where what the native engine knows comes from. Nothing is taken silently from elsewhere: what was
 * not found says why.
 */
export interface Provenance {
  /** Where VMCOREINFO was: the image's note, or a search through its memory. */
  readonly vmcoreinfo: 'note' | 'memory';
  readonly symbols: Found<'kallsyms' | 'System.map' | 'vmlinux' | 'ISF'>;
  /** The kernel's own types; its modules' are reported by `NativeKernel.moduleTypes`. */
  readonly types: Found<'dump' | 'vmlinux' | 'file' | 'DWARF' | 'ISF'>;
  /** What showed that a file's types are of this kernel; absent where they are the dump's own. */
  readonly typesVerified?: TypesVerified;
  /** Base of the direct map. */
  readonly directMap: Found<'kernel'>;
  /** Base of the array of `struct page`. */
  readonly pages: Found<'kernel'>;
  /** How memory is paged: `4-level page tables`. */
  readonly paging: string;
  /** What is odd and does not keep the kernel from being read, one line each. */
  readonly anomalies: readonly string[];
}

/** What dwarf2json loses: it names them all unnamed_field_0, and keeps the last. */
export const ISF_CAVEAT =
  'ISF files omit members of unions with several anonymous structs; such members may be reported as missing';

/** What a file of types leaves in doubt. */
export function doubtsOf({ types, typesVerified }: Provenance): KernelDoubt[] {
  const doubts: KernelDoubt[] = [];
  if (!types.found) return doubts;
  if (typesVerified === 'none') {
    const message = `types not verified: ${types.detail} may belong to a different kernel`;
    doubts.push({ code: 'types-not-verified', message });
  }
  if (types.source === 'ISF') doubts.push({ code: 'types-incomplete', message: ISF_CAVEAT });
  return doubts;
}

/** What kept it from being found. */
export type NotFoundCode = KernelErrorCode | ReadErrorCode;

/** A part that was found, and where; or not, and why. */
export type Found<Source extends string> =
  | { readonly found: true; readonly source: Source; readonly detail: string }
  | { readonly found: false; readonly code: NotFoundCode; readonly why: string };
