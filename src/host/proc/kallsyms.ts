import { HostError } from '../error.js';
import type { HostSource } from '../host-source.js';
import { LineCutter } from '../ss/lines.js';
import type { ModuleRanges } from './module-ranges.js';
import { halves, SymbolColumns } from './symbol-columns.js';

/** A function of the kernel that an address lies in. */
export interface KernelSymbol {
  readonly name: string;
  /** Bytes from its start. */
  readonly offset: number;
  /** Of modules and of programs (`bpf`). */
  readonly module: string | null;
}

/** Functions of the running kernel, modules and BPF programs (/proc/kallsyms). */
export interface KernelSymbols {
  /** Null: no function is there. */
  at(address: bigint): KernelSymbol | null;
}

/** As it was read. */
export interface KernelSymbolTable extends KernelSymbols {
  /** Those of modules and BPF programs alone. */
  ofModules(): KernelSymbols;
}

const PATH = '/proc/kallsyms';

/** 200,000 are usual; with all of a distribution’s modules 500,000. */
const MOST_SYMBOLS = 4_000_000;

/** Behind its last symbol a module, or the kernel, ends somewhere: no function is that long. */
const LONGEST = 4n << 20n;

const LINE =
  /^(?<address>[0-9a-f]{1,16}) (?<type>\S) (?<name>[^\t]{1,512})(?:\t\[(?<module>[^\]]{1,64})\])?$/;

/**
 * @param modules where modules are, so that what lies behind one is not taken for its last function
 * @throws {HostError} `gone`; `denied`: it may not be read, or shows no addresses (kernel.kptr_restrict);
 *   `unreadable`
 */
export function readKernelSymbols(
  source: Pick<HostSource, 'readBytes'>,
  modules: ModuleRanges = new Map(),
): KernelSymbolTable {
  const columns = new SymbolColumns();
  const cutter = new LineCutter((bytes, from, to) => {
    const found = LINE.exec(bytes.toString('latin1', from, to))?.groups;
    if (!found) return;
    if (columns.size >= MOST_SYMBOLS) throw new HostError('unreadable', `${PATH} has no end`);
    const { address = '', type = '', name = '', module = null } = found;
    columns.add(address, /[tw]/i.test(type) ? name : null, module);
  });
  source.readBytes(PATH, (bytes) => cutter.push(bytes));
  cutter.end();
  if (columns.size === 0) throw new HostError('unreadable', `${PATH} names no symbols`);
  if (columns.areHidden)
    throw new HostError('denied', `${PATH} shows no addresses (kernel.kptr_restrict)`);
  return new SortedSymbols(columns, modules);
}

/** Addresses apart from names: what is sought is found among numbers. */
class SortedSymbols implements KernelSymbolTable {
  readonly #columns: SymbolColumns;
  readonly #order: Uint32Array;
  readonly #modules: ModuleRanges;

  constructor(columns: SymbolColumns, modules: ModuleRanges) {
    this.#columns = columns;
    this.#order = columns.order();
    this.#modules = modules;
  }

  ofModules(): KernelSymbols {
    const all = this.#columns;
    const some = new SymbolColumns();
    for (let at = 0; at < all.size; at++) {
      const module = all.module(at);
      if (module !== null) some.add(all.address(at).toString(16), all.name(at), module);
    }
    return new SortedSymbols(some, this.#modules);
  }

  at(address: bigint): KernelSymbol | null {
    const columns = this.#columns;
    const [upper, lower] = halves(address);
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (columns.compare(this.#order[middle] ?? 0, upper, lower) <= 0) low = middle + 1;
      else high = middle;
    }
    const found = low === 0 ? undefined : this.#order[low - 1];
    const name = found === undefined ? null : columns.name(found);
    if (found === undefined || name === null) return null;
    const start = columns.address(found);
    if (address - start >= LONGEST) return null;
    const module = columns.module(found);
    const range = module === null ? undefined : this.#modules.get(module);
    // From 6.4 on a module has parts that lie elsewhere: of those it is not told where they end.
    if (range && start >= range.from && start < range.to && address >= range.to) return null;
    return { name, module, offset: Number(address - start) };
  }
}
