import { KernelError, ReadError } from '../../base/errors.js';
import { bytesOf, textOf } from '../bytes.js';
import type { NamedAddress } from '../kernel.js';
import type { StructLayout } from '../layout.js';
import { Btf } from './btf/btf.js';
import type { ModuleTypes } from './types.js';

/** Upper bound on the number of loaded modules. */
const MAX_MODULES = 4096;
const MAX_BTF_BYTES = 32 << 20;
/** Maximum size of all modules' types. */
const MAX_TOTAL_BYTES = 256 << 20;

/** Access to a kernel that is needed to find its modules' types. */
interface ModuleSource {
  symbol(name: string): bigint | undefined;
  read(address: bigint, length: number): DataView;
  struct(name: string): StructLayout | undefined;
}

/** The types of the loaded modules, and why some are missing, one line each. */
export interface ModuleBtf {
  readonly modules: readonly ModuleTypes[];
  readonly problems: readonly string[];
}

/**
 * Reads the split BTF of every loaded module from the kernel's list `btf_modules` (kernel/bpf/btf.c,
 * since 5.11). A module whose types cannot be read or do not extend the kernel's is skipped, with a
 * line that reports it.
 */
export function readModuleBtf(kernel: ModuleSource, base: Btf): ModuleBtf {
  const head = kernel.symbol('btf_modules');
  if (head === undefined) return { modules: [], problems: ['no symbol btf_modules'] };
  const list = kernel.struct('btf_module');
  const blob = kernel.struct('btf');
  const link = list?.member('list');
  const pointer = list?.member('btf');
  const data = blob?.member('data');
  const size = blob?.member('data_size');
  const name = blob?.member('name');
  if (!link || !pointer || !data || !size || !name)
    return { modules: [], problems: ['struct btf_module or struct btf: unsupported layout'] };
  const startId = blob?.member('start_id');
  const startString = blob?.member('start_str_off');

  const modules: ModuleTypes[] = [];
  const problems: string[] = [];
  const visited = new Set<bigint>([head]);
  let total = 0;
  const pointerAt = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);
  const addModule = (entry: bigint): void => {
    const btf = pointerAt(entry - BigInt(link.offset) + BigInt(pointer.offset));
    const blobBytes = kernel.read(btf, blob!.size);
    const module = textOf(bytesOf(blobBytes, name.offset, name.size));
    const number = (member: { offset: number } | undefined): number | undefined =>
      member && blobBytes.getUint32(member.offset, true);
    const bytes = number(size)!;
    total += bytes;
    if (bytes > MAX_BTF_BYTES || total > MAX_TOTAL_BYTES)
      throw new KernelError('damaged', `${module}: BTF too large (${bytes} bytes)`);
    const firstId = number(startId);
    const firstString = number(startString);
    if (firstId !== undefined && firstId !== base.endId)
      throw new KernelError(
        'damaged',
        `${module}: BTF does not match the kernel (types begin at ${firstId}, not ${base.endId})`,
      );
    if (firstString !== undefined && firstString !== base.stringsEnd)
      throw new KernelError('damaged', `${module}: BTF does not match the kernel (strings begin at ${firstString})`);
    try {
      const view = kernel.read(blobBytes.getBigUint64(data.offset, true), bytes);
      const types = Btf.parse(bytesOf(view, 0, bytes), base);
      modules.push({ module, btf: types });
    } catch (error) {
      const prefix = error instanceof ReadError ? 'types not readable: ' : '';
      throw new KernelError('no-types', `${module}: ${prefix}${problem(error)}`, { cause: error });
    }
  };
  try {
    for (let at = pointerAt(head); at !== head; at = pointerAt(at)) {
      if (visited.has(at) || visited.size > MAX_MODULES) {
        problems.push('list btf_modules does not terminate (loop?)');
        break;
      }
      visited.add(at);
      try {
        addModule(at);
      } catch (error) {
        problems.push(problem(error));
      }
    }
  } catch (error) {
    problems.push(problem(error));
  }
  return { modules, problems };
}

function problem(error: unknown): string {
  if (error instanceof KernelError || error instanceof ReadError) return error.message;
  throw error;
}

/** The largest modules have 100,000 symbols. */
const MAX_SYMBOLS = 1 << 20;
/** The largest module's code is a few MiB. */
const MAX_TEXT = 1 << 28;
const MAX_NAME = 512;
/** `Elf64_Sym`: st_name u32, st_info, st_other, st_shndx u16, st_value u64, st_size u64. */
const SYMBOL_BYTES = 24;
/** Mapping symbols of compilers, which name nothing (is_mapping_symbol). */
const MAPPING = /^(\$|\.L|L0)/;

interface Module {
  readonly name: string;
  readonly address: bigint;
  /** Address ranges of the module's code. */
  readonly ranges: readonly Range[];
  /** Address ranges of its variables. */
  readonly data: readonly Range[];
}

interface Range {
  readonly start: bigint;
  readonly length: bigint;
}

const isIn = (ranges: readonly Range[], address: bigint): boolean =>
  ranges.some(({ start, length }) => address >= start && address - start < length);

/** Symbolizes addresses in loaded modules, by each module's own symbols (mod_kallsyms). */
export class ModuleSymbols {
  readonly #kernel: ModuleSource;
  readonly #modules: readonly Module[];
  readonly #symbols = new Map<string, readonly ModuleSymbol[]>();

  /** @throws {ReadError}, {@link KernelError} if the list of modules cannot be read */
  constructor(kernel: ModuleSource) {
    this.#kernel = kernel;
    this.#modules = [...loadedModules(kernel)];
  }

  /** @throws {ReadError}, {@link KernelError} if the module's symbols cannot be read */
  at(address: bigint): NamedAddress | undefined {
    return this.#in('ranges', address);
  }

  /** The same for variables. @throws as at */
  dataAt(address: bigint): NamedAddress | undefined {
    return this.#in('data', address);
  }

  #in(part: 'ranges' | 'data', address: bigint): NamedAddress | undefined {
    const module = this.#modules.find((known) => isIn(known[part], address));
    if (module === undefined) return undefined;
    const key = `${part} ${module.address}`;
    let symbols = this.#symbols.get(key);
    if (symbols === undefined) {
      symbols = readSymbols(this.#kernel, module, module[part]);
      this.#symbols.set(key, symbols);
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
  /** It has no size: the variable or function at its address is another one. */
  readonly isEmpty: boolean;
  readonly nameAt: bigint;
}

function* loadedModules(kernel: ModuleSource): Generator<Module> {
  const head = kernel.symbol('modules');
  const layout = kernel.struct('module');
  const link = layout?.member('list');
  const name = layout?.member('name');
  if (head === undefined || !link || !name) return;
  const pointerAt = (address: bigint): bigint => kernel.read(address, 8).getBigUint64(0, true);
  const visited = new Set<bigint>([head]);
  for (let node = pointerAt(head); node !== head; node = pointerAt(node)) {
    if (visited.has(node) || visited.size > MAX_MODULES)
      throw new KernelError('damaged', 'list of modules does not terminate (loop?)');
    visited.add(node);
    const address = node - BigInt(link.offset);
    const text = textOf(bytesOf(kernel.read(address + BigInt(name.offset), name.size)));
    yield { name: text, address, ranges: rangesOf(kernel, address, CODE), data: rangesOf(kernel, address, DATA) };
  }
}

type Members = readonly (readonly [base: string, size: string])[];

/** Text of a module and of its init functions: `mem[MOD_TEXT]` since 6.4, `core_layout` before. */
const CODE: Members = [
  ['mem[0].base', 'mem[0].size'],
  ['mem[4].base', 'mem[4].size'],
  ['core_layout.base', 'core_layout.text_size'],
  ['init_layout.base', 'init_layout.text_size'],
];
/** `mem[MOD_DATA]` to `mem[MOD_RO_AFTER_INIT]`; before 6.4 one area with the text. */
const DATA: Members = [
  ['mem[1].base', 'mem[1].size'],
  ['mem[2].base', 'mem[2].size'],
  ['mem[3].base', 'mem[3].size'],
  ['core_layout.base', 'core_layout.size'],
];

function rangesOf(kernel: ModuleSource, address: bigint, parts: Members): Range[] {
  const layout = kernel.struct('module');
  return parts.flatMap(([base, size]) => {
    const [at, bytes] = [layout?.member(base), layout?.member(size)];
    if (!at || !bytes) return [];
    const start = kernel.read(address + BigInt(at.offset), 8).getBigUint64(0, true);
    const length = kernel.read(address + BigInt(bytes.offset), 4).getUint32(0, true);
    return start === 0n || length > MAX_TEXT ? [] : [{ start, length: BigInt(length) }];
  });
}

/** Sorted by descending address. */
function readSymbols(kernel: ModuleSource, { name, address }: Module, ranges: readonly Range[]): ModuleSymbol[] {
  const pointer = kernel.struct('module')?.member('kallsyms');
  const layout = kernel.struct('mod_kallsyms');
  const [table, count, names] = ['symtab', 'num_symtab', 'strtab'].map((member) => layout?.member(member));
  if (!pointer || !table || !count || !names)
    throw new KernelError('unsupported-layout', 'struct module or mod_kallsyms: unsupported layout');
  const word = (at: bigint): bigint => kernel.read(at, 8).getBigUint64(0, true);
  const kallsyms = word(address + BigInt(pointer.offset));
  if (kallsyms === 0n) return [];
  const symtab = word(kallsyms + BigInt(table.offset));
  const strtab = word(kallsyms + BigInt(names.offset));
  const number = kernel.read(kallsyms + BigInt(count.offset), 4).getUint32(0, true);
  if (number > MAX_SYMBOLS)
    throw new KernelError('damaged', `module ${name}: malformed symbol table (${number} symbols)`);
  const view = kernel.read(symtab, number * SYMBOL_BYTES);
  const symbols: ModuleSymbol[] = [];
  for (let at = 0; at < view.byteLength; at += SYMBOL_BYTES) {
    const value = view.getBigUint64(at + 8, true);
    const section = view.getUint16(at + 6, true);
    // Undefined symbols belong to other modules; an empty name is a section symbol.
    if (section === 0 || !isIn(ranges, value) || view.getUint32(at, true) === 0) continue;
    const isEmpty = view.getBigUint64(at + 16, true) === 0n;
    symbols.push({ address: value, isEmpty, nameAt: strtab + BigInt(view.getUint32(at, true)) });
  }
  // Of several symbols at one address, the first in the table that has a size is used, otherwise the first.
  return symbols.sort((a, b) =>
    a.address === b.address ? Number(a.isEmpty) - Number(b.isEmpty) : a.address < b.address ? 1 : -1,
  );
}

function textAt(kernel: ModuleSource, address: bigint): string {
  for (let length = MAX_NAME; ; length /= 2) {
    try {
      return textOf(bytesOf(kernel.read(address, length)));
    } catch (error) {
      if (length <= 16) throw error;
    }
  }
}
