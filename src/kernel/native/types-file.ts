import type { Btf } from './btf/btf.js';
import type { ListedSymbols } from './symbols.js';

/** A file with types that are described otherwise than by BTF, opened. */
export interface TypesFile {
  readonly path: string;
  readonly form: 'DWARF' | 'ISF';
  readonly buildId?: string;
  /** `linux_banner` of its kernel, without the newline. */
  readonly banner?: string | undefined;
  /** Makes BTF of them, at the first call. @throws {KernelError} */
  readonly load: () => Btf;
  /** Its symbols, where it has any. */
  readonly symbols?: (kernelOffset: bigint) => ListedSymbols | undefined;
}
