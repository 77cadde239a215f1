import { KernelError } from '../../base/errors/kernel.js';
import { bytesOf, textOf } from '../bytes.js';
import type { NamedAddress } from '../kernel.js';
import type { ModuleSource } from './modules.js';

/** Modules that can be loaded at once, by any measure. */
const MOST_MODULES = 4096;
/** The largest modules have 100,000 symbols. */
const MOST_SYMBOLS = 1 << 20;
/** The largest module's code is a few MiB. */
const MOST_TEXT = 1 << 28;
const MOST_NAME = 512;
/** `Elf64_Sym`: st_name u32, st_info, st_other, st_shndx u16, st_value u64, st_size u64. */
const SYMBOL_BYTES = 24;
/** Marks of compilers, which name nothing (is_mapping_symbol). */
const MAPPING = /^(\$|\.L|L0)/;

interface Module {
  readonly name: string;
  readonly address: bigint;
  /** Its code. */
  readonly ranges: readonly { readonly start: bigint; readonly length: bigint }[];
}

/** Names of addresses in the code of loaded modules, by the symbols that each keeps (mod_kallsyms). */
export class ModuleSymbols {
  readonly #kernel: ModuleSource;
  readonly #modules: readonly Module[];
  readonly #symbols = new Map<bigint, readonly ModuleSymbol[]>();

  /** @throws {ReadError}, {@link KernelError} where the list of modules cannot be followed */
  constructor(kernel: ModuleSource) {
    this.#kernel = kernel;
    this.#modules = [...loadedModules(kernel)];
  }

  /** @throws {ReadError}, {@link KernelError} where the module's symbols cannot be read */
  at(address: bigint): NamedAddress | undefined {
    const module = this.#modules.find(({ ranges }) =>
      ranges.some(({ start, length }) => address >= start && address - start < length),
    );
    if (module === undefined) return undefined;
    let symbols = this.#symbols.get(module.address);
    if (symbols === undefined) {
      symbols = readSymbols(this.#kernel, module);
      this.#symbols.set(module.address, symbols);
    }
    for (const symbol of symbols) {
      if (symbol.address > address) continue;
      const name = textAt(this.#kernel, symbol.nameAt);
      if (MAPPING.test(name)) continue;
      return { name, offset: Number(address - symbol.address), module: module.name };
    }
    return undefined;
  }
}

interface ModuleSymbol {
  readonly address: bigint;
  readonly nameAt: bigint;
}

function* loadedModules(kernel: ModuleSource): Generator<Module> {
  const head = kernel.symbol('modules');
  const layout = kernel.struct('module');
  const link = layout?.member('list');
  const name = layout?.member('name');
  if (head === undefined || !link || !name) return;
  const pointerAt = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);
  const seen = new Set<bigint>([head]);
  for (let node = pointerAt(head); node !== head; node = pointerAt(node)) {
    if (seen.has(node) || seen.size > MOST_MODULES)
      throw new KernelError('damaged', 'list of modules does not terminate (loop?)');
    seen.add(node);
    const address = node - BigInt(link.offset);
    const text = textOf(bytesOf(kernel.read(address + BigInt(name.offset), name.size)));
    yield { name: text, address, ranges: codeOf(kernel, address) };
  }
}

/** Text of a module and of its init functions: `mem[MOD_TEXT]` since 6.4, `core_layout` before. */
function codeOf(kernel: ModuleSource, address: bigint): Module['ranges'] {
  const layout = kernel.struct('module');
  const parts: readonly (readonly [string, string])[] = [
    ['mem[0].base', 'mem[0].size'],
    ['mem[4].base', 'mem[4].size'],
    ['core_layout.base', 'core_layout.text_size'],
    ['init_layout.base', 'init_layout.text_size'],
  ];
  return parts.flatMap(([base, size]) => {
    const [at, bytes] = [layout?.member(base), layout?.member(size)];
    if (!at || !bytes) return [];
    const start = kernel.read(address + BigInt(at.offset), 8).getBigUint64(0, true);
    const length = kernel.read(address + BigInt(bytes.offset), 4).getUint32(0, true);
    return start === 0n || length > MOST_TEXT ? [] : [{ start, length: BigInt(length) }];
  });
}

/** The last address first. */
function readSymbols(kernel: ModuleSource, { name, address, ranges }: Module): ModuleSymbol[] {
  const pointer = kernel.struct('module')?.member('kallsyms');
  const layout = kernel.struct('mod_kallsyms');
  const [table, count, names] = ['symtab', 'num_symtab', 'strtab'].map((member) =>
    layout?.member(member),
  );
  if (!pointer || !table || !count || !names)
    throw new KernelError(
      'unsupported-layout',
      'struct module or mod_kallsyms: unsupported layout',
    );
  const word = (at: bigint): bigint => kernel.read(at, 8).getBigUint64(0, true);
  const kallsyms = word(address + BigInt(pointer.offset));
  if (kallsyms === 0n) return [];
  const symtab = word(kallsyms + BigInt(table.offset));
  const strtab = word(kallsyms + BigInt(names.offset));
  const number = kernel.read(kallsyms + BigInt(count.offset), 4).getUint32(0, true);
  if (number > MOST_SYMBOLS)
    throw new KernelError('damaged', `module ${name}: malformed symbol table (${number} symbols)`);
  const view = kernel.read(symtab, number * SYMBOL_BYTES);
  const symbols: ModuleSymbol[] = [];
  for (let at = 0; at < view.byteLength; at += SYMBOL_BYTES) {
    const value = view.getBigUint64(at + 8, true);
    const section = view.getUint16(at + 6, true);
    const isCode = ranges.some(({ start, length }) => value >= start && value - start < length);
    // Undefined symbols are other modules'; a name that is empty names a section.
    if (section === 0 || !isCode || view.getUint32(at, true) === 0) continue;
    symbols.push({ address: value, nameAt: strtab + BigInt(view.getUint32(at, true)) });
  }
  // Of several at one address the first in the table names it, as the kernel does.
  return symbols.sort((a, b) => (a.address < b.address ? 1 : a.address > b.address ? -1 : 0));
}

function textAt(kernel: ModuleSource, address: bigint): string {
  for (let length = MOST_NAME; ; length /= 2) {
    try {
      return textOf(bytesOf(kernel.read(address, length)));
    } catch (error) {
      if (length <= 16) throw error;
    }
  }
}
