import { KernelError, ReadError } from '../error.js';
import type { KernelFacts } from '../kernel.js';
import type { Architecture } from './arch/arch.js';
import { X86_64 } from './arch/x86_64.js';
import type { MemoryImage } from './image/image.js';
import { openImage } from './image/open.js';
import { Kallsyms } from './kallsyms/kallsyms.js';
import { locateKallsyms } from './kallsyms/locate.js';
import { NativeKernel } from './kernel.js';
import { KernelMemory } from './memory.js';
import type { Found } from './provenance.js';
import { onlyAddress, type SymbolTable } from './symbols.js';
import { KernelTypes } from './types.js';
import { locateBtf, readBtf } from './types-source.js';
import { Vmcoreinfo } from './vmcoreinfo.js';

export interface NativeOptions {
  /** The dump: one file, or all parts of a split one. Not read where `live`. */
  readonly files: readonly string[];
  /** The running kernel, through /proc/kcore. */
  readonly live?: boolean;
  /** A System.map of this kernel, instead of its kallsyms. */
  readonly symbols?: string;
  /** BTF of this kernel: a raw blob, or a vmlinux with a `.BTF` section. */
  readonly btf?: string;
  /** A vmlinux of this kernel: its `.symtab` and, where it has one, its `.BTF`. */
  readonly vmlinux?: string;
}

/**
 * Opens a dump or the running kernel with nothing but itself.
 *
 * @throws {KernelError} when it is no dump, or what must be known of the kernel cannot be found
 */
export function openNative(options: NativeOptions): NativeKernel {
  const image = openImage(options.live ? ['/proc/kcore'] : options.files);
  try {
    return openNativeImage(image, options);
  } catch (error) {
    image.close();
    throw error;
  }
}

/** As openNative, over an image that is open already. */
export function openNativeImage(
  image: MemoryImage,
  options: Pick<NativeOptions, 'symbols' | 'btf' | 'vmlinux'> = {},
): NativeKernel {
  if (image.vmcoreinfo === undefined)
    throw new KernelError('unsupported-layout', 'the dump has no VMCOREINFO');
  const info = new Vmcoreinfo(image.vmcoreinfo);
  const arch = architectureOf(image, info);
  const memory = new KernelMemory(image, arch);

  const { table, found: symbolsFound } = findSymbols(memory, info);
  const symbol = (name: string): bigint | undefined => table && onlyAddress(table.find(name));
  const bases = arch.settle({ symbol, read: (address, length) => memory.read(address, length) });
  memory.useDirectMap(bases.directMap);

  const btf = locateBtf(memory, symbol);
  let types: KernelTypes | undefined;
  const facts: KernelFacts = {
    release: info.release ?? '',
    arch: arch.name,
    pageSize: arch.pageSize,
    source: image.facts.format === 'kcore' ? 'kcore' : 'vmcore',
    engine: 'native',
    live: image.facts.live,
  };
  return new NativeKernel({
    image,
    info,
    memory,
    symbols: table,
    types:
      typeof btf === 'string'
        ? undefined
        : () => (types ??= new KernelTypes(readBtf(memory, btf), () => [])),
    bases,
    facts,
    provenance: {
      vmcoreinfo: 'note',
      symbols: symbolsFound,
      types:
        typeof btf === 'string'
          ? { found: false, why: btf }
          : { found: true, source: 'dump', detail: '' },
      directMap: { found: true, source: 'kernel', detail: bases.directMapFrom },
      pages: { found: true, source: 'kernel', detail: bases.pagesFrom },
      paging: arch.paging,
    },
  });
}

function architectureOf(image: MemoryImage, info: Vmcoreinfo): Architecture {
  return new X86_64(image, info);
}

function findSymbols(
  memory: KernelMemory,
  info: Vmcoreinfo,
): { table: SymbolTable | undefined; found: Found<'kallsyms' | 'System.map' | 'vmlinux'> } {
  const places = locateKallsyms(memory, info);
  if (!places) return { table: undefined, found: { found: false, why: 'nope' } };
  const table = Kallsyms.open(memory, places, knownSymbols(info));
  return { table, found: { found: true, source: 'kallsyms', detail: table.description } };
}

function knownSymbols(info: Vmcoreinfo): ReadonlyMap<string, bigint> {
  const known = info.symbols();
  for (const name of ['mem_section', 'vmemmap']) known.delete(name);
  return known;
}
