/** A file that helps to understand a dump, and what says that it is of its kernel. */
export interface SymbolFile {
  readonly path: string;
  readonly as: 'vmlinux' | 'symbols' | 'btf';
  /** `release`: nothing in it says of which build it is. */
  readonly by: 'build-id' | 'release';
}
