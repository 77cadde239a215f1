import { HostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { LineCutter } from '../lines.js';

/** The kernel function that contains an address. */
export interface KernelSymbol {
  readonly name: string;
  /** Bytes from its start. */
  readonly offset: number;
  /** For modules and BPF programs (`bpf`). */
  readonly module: string | null;
}

/** Functions of the running kernel, modules and BPF programs (/proc/kallsyms). */
export interface KernelSymbols {
  /** Null: the address is in no function. */
  at(address: bigint): KernelSymbol | null;
}

/** The complete table. */
export interface KernelSymbolTable extends KernelSymbols {
  /** Only the symbols of modules and BPF programs. */
  ofModules(): KernelSymbols;
}

const PATH = '/proc/kallsyms';

/** 200,000 are usual; with all modules of a distribution 500,000. */
const MAX_SYMBOLS = 4_000_000;

/** No function is longer: an address farther behind the last symbol is outside the module or kernel. */
const LONGEST = 4n << 20n;

const LINE = /^(?<address>[0-9a-f]{1,16}) (?<type>\S) (?<name>[^\t]{1,512})(?:\t\[(?<module>[^\]]{1,64})\])?$/;

/**
 * @param modules address ranges of modules, so that addresses behind one are not assigned to its last
 * function
 * @throws {HostError} `gone`; `denied`: not readable, or shows no addresses (kernel.kptr_restrict);
 *   `unreadable`
 */
export function readKernelSymbols(
  source: Pick<HostSource, 'readBytes'>,
  modules: ModuleRanges = new Map(),
): KernelSymbolTable {
  const columns = new SymbolColumns();
  const cutter = new LineCutter((bytes, from, to) => {
    const groups = LINE.exec(bytes.toString('latin1', from, to))?.groups;
    if (!groups) return;
    if (columns.size >= MAX_SYMBOLS) throw new HostError('unreadable', `${PATH} is too long`);
    const { address = '', type = '', name = '', module = null } = groups;
    columns.add(address, /[tw]/i.test(type) ? name : null, module);
  });
  source.readBytes(PATH, (bytes) => cutter.push(bytes));
  cutter.end();
  if (columns.size === 0) throw new HostError('unreadable', `${PATH} lists no symbols`);
  if (columns.areHidden) throw new HostError('denied', `${PATH} shows no addresses (kernel.kptr_restrict)`);
  return new SortedSymbols(columns, modules);
}

/** Stores addresses separately from names: lookups search only numbers. */
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
    const index = low === 0 ? undefined : this.#order[low - 1];
    const name = index === undefined ? null : columns.name(index);
    if (index === undefined || name === null) return null;
    const start = columns.address(index);
    if (address - start >= LONGEST) return null;
    const module = columns.module(index);
    const range = module === null ? undefined : this.#modules.get(module);
    // From 6.4 on a module has several memory areas: the ends of the others are unknown.
    if (range && start >= range.from && start < range.to && address >= range.to) return null;
    return { name, module, offset: Number(address - start) };
  }
}

const FIRST_SYMBOLS = 32_768;
const FIRST_NAME_BYTES = 2 ** 20;

/** Marks data: it ends a function, and its name is not needed. */
const NO_NAME = 0xffff_ffff;

/** Upper and lower 32 bits of an address. */
function halves(address: bigint): readonly [number, number] {
  return [Number(address >> 32n), Number(address & 0xffff_ffffn)];
}

/**
 * Kernel symbols as columns of numbers, and names as bytes: 50 bytes per symbol instead of 200 for an
 * object with strings, for hundreds of thousands of symbols.
 */
class SymbolColumns {
  size = 0;
  /** Whether all addresses are zero: the kernel hides them. */
  areHidden = true;
  #uppers = new Uint32Array(FIRST_SYMBOLS);
  #lowers = new Uint32Array(FIRST_SYMBOLS);
  /** Offsets of names in the name bytes. */
  #starts = new Uint32Array(FIRST_SYMBOLS);
  #lengths = new Uint16Array(FIRST_SYMBOLS);
  /** Indices of modules; 0: the kernel itself. */
  #owners = new Uint32Array(FIRST_SYMBOLS);
  #bytes = Buffer.alloc(FIRST_NAME_BYTES);
  #used = 0;
  readonly #modules: (string | null)[] = [null];
  readonly #numbers = new Map<string | null, number>([[null, 0]]);

  /**
   * @param address hexadecimal, at most 16 digits
   * @param name ISO 8859-1, at most 65,535 characters; null: not code
   */
  add(address: string, name: string | null, module: string | null): void {
    if (this.size === this.#uppers.length) this.#grow();
    const at = this.size++;
    this.#uppers[at] = Number.parseInt(address.slice(0, -8) || '0', 16);
    this.#lowers[at] = Number.parseInt(address.slice(-8), 16);
    if (this.#uppers[at] !== 0 || this.#lowers[at] !== 0) this.areHidden = false;
    this.#owners[at] = this.#numberOf(module);
    this.#starts[at] = name === null ? NO_NAME : this.#used;
    if (name === null) return;
    while (this.#used + name.length > this.#bytes.length) this.#growBytes();
    this.#lengths[at] = name.length;
    this.#used += this.#bytes.write(name, this.#used, 'latin1');
  }

  /** Sorts by address. Of several at one address the last code symbol counts. */
  order(): Uint32Array {
    const [uppers, lowers, starts] = [this.#uppers, this.#lowers, this.#starts];
    const isData = (at: number) => Number(starts[at] === NO_NAME);
    return Uint32Array.from({ length: this.size }, (_, at) => at).sort(
      (a, b) =>
        (uppers[a] ?? 0) - (uppers[b] ?? 0) || (lowers[a] ?? 0) - (lowers[b] ?? 0) || isData(b) - isData(a) || a - b,
    );
  }

  /** Negative: the symbol is before the address. */
  compare(at: number, upper: number, lower: number): number {
    return (this.#uppers[at] ?? 0) - upper || (this.#lowers[at] ?? 0) - lower;
  }

  address(at: number): bigint {
    return (BigInt(this.#uppers[at] ?? 0) << 32n) | BigInt(this.#lowers[at] ?? 0);
  }

  /** Null: not code. */
  name(at: number): string | null {
    const start = this.#starts[at] ?? NO_NAME;
    if (start === NO_NAME) return null;
    return this.#bytes.toString('latin1', start, start + (this.#lengths[at] ?? 0));
  }

  module(at: number): string | null {
    return this.#modules[this.#owners[at] ?? 0] ?? null;
  }

  #numberOf(module: string | null): number {
    const known = this.#numbers.get(module);
    if (known !== undefined) return known;
    this.#numbers.set(module, this.#modules.length);
    return this.#modules.push(module) - 1;
  }

  #grow(): void {
    const twice = <T extends Uint32Array | Uint16Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    const room = this.#uppers.length * 2;
    this.#uppers = twice(new Uint32Array(room), this.#uppers);
    this.#lowers = twice(new Uint32Array(room), this.#lowers);
    this.#starts = twice(new Uint32Array(room), this.#starts);
    this.#owners = twice(new Uint32Array(room), this.#owners);
    this.#lengths = twice(new Uint16Array(room), this.#lengths);
  }

  #growBytes(): void {
    const bytes = Buffer.alloc(this.#bytes.length * 2);
    this.#bytes.copy(bytes);
    this.#bytes = bytes;
  }
}

/** Address ranges of loaded modules by name, end exclusive. */
export type ModuleRanges = ReadonlyMap<string, { readonly from: bigint; readonly to: bigint }>;

/** `name bytes users … state address (flags)` (m_show of kernel/module/procfs.c). */
const MODULE_LINE =
  /^(?<name>\S{1,64}) (?<bytes>\d{1,12}) -?\d{1,10} \S+ \w+ 0x(?<address>[0-9a-f]{1,16})(?: \(\w+\))?$/;

/** Parses /proc/modules. Modules with hidden addresses (kernel.kptr_restrict) are omitted. */
export function moduleRanges(text: string): ModuleRanges {
  const ranges = new Map<string, { from: bigint; to: bigint }>();
  for (const line of text.split('\n')) {
    const { name, bytes, address } = MODULE_LINE.exec(line)?.groups ?? {};
    const from = BigInt(`0x${address ?? '0'}`);
    if (name !== undefined && from !== 0n) ranges.set(name, { from, to: from + BigInt(bytes ?? 0) });
  }
  return ranges;
}
