import { statSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError, type KernelErrorCode, type ReadErrorCode } from '../../base/errors.js';
import type { TypesVerified } from '../../contracts/info.js';
import type { NotedFacts } from '../identity.js';
import type { KernelDoubt } from '../kernel.js';
import type { SymbolFile } from '../layout.js';
import type { Btf } from './btf/btf.js';
import { ElfFile } from './elf-file.js';
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

/** Paths of files by build id, as debuginfod, GNU tools and users store them. */
const BY_ID: Readonly<Record<SymbolFile['as'], (id: string) => readonly string[]>> = {
  vmlinux: (id) => [
    `.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`,
    `.build-id/${id.slice(0, 2)}/${id.slice(2)}`,
    `usr/lib/debug/.build-id/${id.slice(0, 2)}/${id.slice(2)}.debug`,
    `${id}/vmlinux`,
    `${id}/debuginfo`,
    `${id}/executable`,
  ],
  symbols: (id) => [`${id}/System.map`],
  btf: (id) => [`${id}/vmlinux.btf`],
};

/** Paths of files by release, as in distributions' packages when unpacked there. */
const BY_RELEASE: Readonly<Record<SymbolFile['as'], (release: string) => readonly string[]>> = {
  vmlinux: (release) => [
    `vmlinux-${release}`,
    `${release}/vmlinux`,
    `boot/vmlinux-${release}`,
    `usr/lib/debug/boot/vmlinux-${release}`,
    `usr/lib/debug/lib/modules/${release}/vmlinux`,
  ],
  symbols: (release) => [`System.map-${release}`, `${release}/System.map`, `boot/System.map-${release}`],
  btf: (release) => [`vmlinux-${release}.btf`, `${release}/vmlinux.btf`],
};

/**
 * Searches a folder for files that a dump lacks, the most reliable match first. A vmlinux with a
 * different build id is skipped, wherever it is.
 */
export function symbolFiles(folder: string, { buildId, release }: NotedFacts, as: SymbolFile['as']): SymbolFile[] {
  const existing = (places: readonly string[]) => places.map((place) => join(folder, place)).filter(isFile);
  const byId = buildId !== undefined && /^[0-9a-f]{8,}$/.test(buildId) ? existing(BY_ID[as](buildId)) : [];
  // Rejects paths: `..` would leave the folder.
  const isName = release !== undefined && /^[\w.+~-]{1,200}$/.test(release);
  const byRelease = isName && !release.includes('..') ? existing(BY_RELEASE[as](release)) : [];
  const file = (path: string, by: SymbolFile['by']): SymbolFile[] => {
    const own = as === 'vmlinux' ? buildIdOf(path) : undefined;
    if (own === undefined || buildId === undefined) return [{ path, as, by }];
    return own === buildId ? [{ path, as, by: 'build-id' }] : [];
  };
  return [...byId.flatMap((path) => file(path, 'build-id')), ...byRelease.flatMap((path) => file(path, 'release'))];
}

function buildIdOf(path: string): string | undefined {
  try {
    const elf = ElfFile.open(path);
    try {
      return elf.buildId;
    } finally {
      elf.close();
    }
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    // A path component is not a folder, or is not accessible.
    return false;
  }
}
