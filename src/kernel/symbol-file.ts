/** A file that helps to understand a dump, and what says that it is of its kernel. */
export interface SymbolFile {
  readonly path: string;
  readonly as: 'vmlinux' | 'symbols' | 'btf';
  /** `release`: nothing in it says of which build it is. */
  readonly by: 'build-id' | 'release';
}

/**
 * By what a file of types and a dump were found to be of one kernel. `layouts`: the sizes and offsets
 * that VMCOREINFO has. `none`: nothing could be compared.
 */
export const TYPES_VERIFIED = ['build-id', 'banner', 'release', 'layouts', 'none'] as const;
export type TypesVerified = (typeof TYPES_VERIFIED)[number];
