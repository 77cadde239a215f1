import { HostError } from '../error.js';
import type { HostSource } from '../host-source.js';
import { LineCutter } from '../ss/lines.js';
import type { ModuleRanges } from './module-ranges.js';

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
): KernelSymbols {
  const symbols: ReadSymbol[] = [];
  const names = new Map<string, string>();
  const cutter = new LineCutter((bytes, from, to) => {
    const found = LINE.exec(bytes.toString('latin1', from, to))?.groups;
    if (!found) return;
    if (symbols.length >= MOST_SYMBOLS) throw new HostError('unreadable', `${PATH} has no end`);
    const { address = '', type = '', name = '', module } = found;
    symbols.push({
      address: BigInt(`0x${address}`),
      isCode: /[tw]/i.test(type),
      name,
      module: module === undefined ? null : shared(names, module),
    });
  });
  source.readBytes(PATH, (bytes) => cutter.push(bytes));
  cutter.end();
  if (symbols.length === 0) throw new HostError('unreadable', `${PATH} names no symbols`);
  if (symbols.every(({ address }) => address === 0n))
    throw new HostError('denied', `${PATH} shows no addresses (kernel.kptr_restrict)`);
  // Of several at one address the last is taken: aliases come before what is code.
  symbols.sort((a, b) =>
    a.address === b.address ? Number(a.isCode) - Number(b.isCode) : a.address < b.address ? -1 : 1,
  );
  return new SortedSymbols(symbols, modules);
}

interface ReadSymbol {
  readonly address: bigint;
  readonly isCode: boolean;
  readonly name: string;
  readonly module: string | null;
}

function shared(known: Map<string, string>, name: string): string {
  const found = known.get(name);
  if (found === undefined) known.set(name, name);
  return found ?? name;
}

/** Addresses apart from names: what is sought is found among numbers. */
class SortedSymbols implements KernelSymbols {
  readonly #addresses: BigUint64Array;
  readonly #symbols: readonly ReadSymbol[];

  readonly #modules: ModuleRanges;

  constructor(symbols: readonly ReadSymbol[], modules: ModuleRanges) {
    this.#symbols = symbols;
    this.#modules = modules;
    this.#addresses = BigUint64Array.from(symbols, ({ address }) => address);
  }

  at(address: bigint): KernelSymbol | null {
    let [low, high] = [0, this.#addresses.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#addresses[middle] ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.#symbols[low - 1];
    if (!found?.isCode || address - found.address >= LONGEST) return null;
    const { name, module } = found;
    const range = module === null ? undefined : this.#modules.get(module);
    // From 6.4 on a module has parts that lie elsewhere: of those it is not told where they end.
    if (range && found.address >= range.from && found.address < range.to && address >= range.to)
      return null;
    return { name, module, offset: Number(address - found.address) };
  }
}
