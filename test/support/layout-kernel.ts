import { ReadError } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { Btf } from '../../src/kernel/native/btf/btf.js';
import { KernelTypes } from '../../src/kernel/native/types.js';
import { noPages } from './no-pages.js';

/** A kernel with types only: every symbol has an address, and nothing is readable. */
export function layoutKernel(from: Uint8Array | Btf, arch: 'x86_64' | 'arm64'): Kernel {
  const btf = from instanceof Btf ? from : Btf.parse(from);
  const types = new KernelTypes(btf, () => []);
  return {
    facts: {
      release: '',
      arch,
      pageSize: 4096,
      source: 'vmcore',
      engine: 'native',
      live: false,
    } as const,
    read(address) {
      throw new ReadError('absent', address);
    },
    symbol: () => 0xffff_ffff_8100_0000n,
    symbolAt: () => undefined,
    struct: (name) => types.struct(name),
    enumerators: (name) => types.enumerators(name),
    pages: noPages(),
    noteReads: () => () => {},
    close: () => {},
  };
}
