import type { KernelErrorCode, ReadErrorCode } from '../../base/errors.js';
import type { KernelDoubt } from '../kernel.js';
import type { TypesVerified } from '../layout.js';
import type { Btf } from './btf/btf.js';
import type { ListedSymbols } from './symbols.js';

/** Sources of the native engine's data. No source is substituted silently: missing parts have a reason. */
export interface Provenance {
  /** Source of VMCOREINFO: the image's note, or a search of its memory. */
  readonly vmcoreinfo: 'note' | 'memory';
  readonly symbols: Found<'kallsyms' | 'System.map' | 'vmlinux' | 'ISF'>;
  /** The kernel's own types; `NativeKernel.moduleTypes` reports those of modules. */
  readonly types: Found<'dump' | 'vmlinux' | 'file' | 'DWARF' | 'ISF'>;
  /** How a file's types were matched to this kernel; absent if they are the dump's own. */
  readonly typesVerified?: TypesVerified;
  readonly directMap: Found<'kernel'>;
  /** Base of the array of `struct page`. */
  readonly pages: Found<'kernel'>;
  /** Description of the paging mode: `4-level page tables`. */
  readonly paging: string;
  /** Problems that do not prevent reading the kernel, one line each. */
  readonly anomalies: readonly string[];
}

/** Limitation of dwarf2json: it names all anonymous members unnamed_field_0, and keeps the last. */
export const ISF_CAVEAT =
  'ISF files omit members of unions with several anonymous structs; such members may be reported as missing';

/** Doubts that remain when types come from a file. */
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

export type NotFoundCode = KernelErrorCode | ReadErrorCode;

/** A part that was found, with its source; or not, with the reason. */
export type Found<Source extends string> =
  | { readonly found: true; readonly source: Source; readonly detail: string }
  | { readonly found: false; readonly code: NotFoundCode; readonly why: string };

/** An open file with types in a format other than BTF. */
export interface TypesFile {
  readonly path: string;
  readonly form: 'DWARF' | 'ISF';
  readonly buildId?: string;
  /** `linux_banner` of the file's kernel, without the newline. */
  readonly banner?: string | undefined;
  /** Converts the types to BTF on the first call. @throws {KernelError} */
  readonly load: () => Btf;
  /** Symbols in the file, if any. */
  readonly symbols?: (kernelOffset: bigint) => ListedSymbols | undefined;
}
