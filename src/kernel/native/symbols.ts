import { highHalf, lowHalf } from '../pointer.js';

/** A symbol as `nm` and /proc/kallsyms print it. */
export interface KernelSymbol {
  readonly name: string;
  /** nm's type letter: upper case for global, lower case for local symbols. */
  readonly type: string;
  /** Runtime address. Per-CPU variables may be offsets into each CPU's area. */
  readonly address: bigint;
}

/** Symbols of the kernel image (not of its modules), from any source. */
export interface SymbolTable {
  readonly count: number;
  /** All symbols of that name: local names can repeat. */
  find(name: string): readonly KernelSymbol[];
  /** Returns the last symbol at or before an address, or undefined if all are after it. */
  before(address: bigint): KernelSymbol | undefined;
  /**
   * Like `before`, but of several symbols at one address returns the first in the table, as the kernel does, that is no
   * key of lockdep.
   */
  namedAt(address: bigint): KernelSymbol | undefined;
  /** All symbols in table order. */
  all(): Iterable<KernelSymbol>;
}

/**
 * Names of lockdep's keys, of C and Rust, the most certain last: without lockdep they have no size, and share their address
 * with the next variable.
 */
const LOCK_KEYS = [/(_key(\.\d+)?|^_R.*5CLASS)$/, /^__key(\.\d+)?$/];

/** Returns the index of the symbol that names an address, of those from one index to another at that address. */
export function naming(first: number, last: number, nameAt: (index: number) => string): number {
  const rank = (index: number) => LOCK_KEYS.findLastIndex((key) => key.test(nameAt(index)));
  let [best, least] = [first, rank(first)];
  for (let index = first + 1; index <= last && least >= 0; index++) {
    const own = rank(index);
    if (own < least) [best, least] = [index, own];
  }
  return best;
}

/**
 * Returns the unambiguous address of a name. If several symbols share it, a single global one is used;
 * several local ones at different addresses are ambiguous: undefined.
 */
export function onlyAddress(symbols: readonly KernelSymbol[]): bigint | undefined {
  const first = symbols[0];
  if (first === undefined || symbols.every((symbol) => symbol.address === first.address)) return first?.address;
  const globals = symbols.filter((symbol) => symbol.type !== symbol.type.toLowerCase());
  const global = globals[0];
  return global !== undefined && globals.every((symbol) => symbol.address === global.address)
    ? global.address
    : undefined;
}

/**
 * Converts a link-time address to the runtime address: KASLR moves the image, but not absolute symbols
 * nor offsets into the per-CPU areas, both of which are in the lower half of the address space.
 */
export function relocated(address: bigint, kernelOffset: bigint): bigint {
  return address >= 1n << 63n ? BigInt.asUintN(64, address + kernelOffset) : address;
}

/** A symbol table in text form: a System.map, a `.symtab`. */
export class ListedSymbols implements SymbolTable {
  readonly count: number;
  readonly #names: NameIndex;
  readonly #text: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #terminator: number;
  readonly #types: Uint8Array;
  readonly #addresses: BigUint64Array;
  #byAddress: Uint32Array | undefined;

  /** The arrays have one element per symbol; `types` contains codes of nm's letters. */
  constructor(text: Uint8Array, nameAt: Int32Array, terminator: number, types: Uint8Array, addresses: BigUint64Array) {
    this.count = nameAt.length;
    this.#names = new NameIndex(text, nameAt, terminator);
    this.#text = text;
    this.#nameAt = nameAt;
    this.#terminator = terminator;
    this.#types = types;
    this.#addresses = addresses;
  }

  find(name: string): KernelSymbol[] {
    return this.#names.find(name).map((index) => this.#at(index));
  }

  before(address: bigint): KernelSymbol | undefined {
    const place = this.#placeBefore(address);
    return place < 0 ? undefined : this.#at(this.#byAddress![place]!);
  }

  namedAt(address: bigint): KernelSymbol | undefined {
    const last = this.#placeBefore(address);
    if (last < 0) return undefined;
    const rows = this.#byAddress!;
    let place = last;
    while (place > 0 && this.#addresses[rows[place - 1]!] === this.#addresses[rows[place]!]) place--;
    return this.#at(rows[naming(place, last, (at) => this.#at(rows[at]!).name)]!);
  }

  /** Index among the symbols sorted by address; -1 before the first. */
  #placeBefore(address: bigint): number {
    this.#byAddress ??= this.#sort();
    let low = 0;
    let high = this.#byAddress.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[this.#byAddress[middle]!]! <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  *all(): Generator<KernelSymbol> {
    for (let index = 0; index < this.count; index++) yield this.#at(index);
  }

  #at(index: number): KernelSymbol {
    const from = this.#nameAt[index]!;
    const end = this.#text.indexOf(this.#terminator, from);
    const name = Buffer.from(this.#text.subarray(from, end < 0 ? this.#text.length : end));
    return {
      name: name.toString('latin1'),
      type: String.fromCharCode(this.#types[index]!),
      address: this.#addresses[index]!,
    };
  }

  #sort(): Uint32Array {
    const addresses = this.#addresses;
    return ascending({
      length: this.count,
      low: (index) => lowHalf(addresses[index]!),
      high: (index) => highHalf(addresses[index]!),
    });
  }
}

/** Maximum length in bytes of a name that can be found; bounds the hashing of unterminated text. */
const MAX_NAME = 512;

/** A hash table of names within one large text: names are not decoded, and hits are compared byte by byte. */
class NameIndex {
  readonly #text: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #terminator: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;

  /**
   * @param nameAt offset in `text` of each entry's name
   * @param terminator the byte that ends every name: 0 or a newline
   */
  constructor(text: Uint8Array, nameAt: Int32Array, terminator: number) {
    this.#text = text;
    this.#nameAt = nameAt;
    this.#terminator = terminator;
    let buckets = 16;
    while (buckets < nameAt.length) buckets *= 2;
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#next = new Int32Array(nameAt.length);
    for (let entry = 0; entry < nameAt.length; entry++) {
      const bucket = hash(text, nameAt[entry]!, terminator) & (buckets - 1);
      this.#next[entry] = this.#heads[bucket]!;
      this.#heads[bucket] = entry;
    }
  }

  /** Indices of all entries of that name, in no order. */
  find(name: string): number[] {
    const bytes = Buffer.from(name, 'latin1');
    const indexes: number[] = [];
    if (bytes.length === 0 || bytes.length >= MAX_NAME || bytes.includes(this.#terminator)) return indexes;
    const bucket = hash(bytes, 0, this.#terminator) & (this.#heads.length - 1);
    for (let entry = this.#heads[bucket]!; entry >= 0; entry = this.#next[entry]!) {
      if (this.#matches(this.#nameAt[entry]!, bytes)) indexes.push(entry);
    }
    return indexes;
  }

  #matches(at: number, bytes: Uint8Array): boolean {
    const text = this.#text;
    for (let index = 0; index < bytes.length; index++) {
      if (text[at + index] !== bytes[index]) return false;
    }
    const after = text[at + bytes.length];
    return after === this.#terminator || after === undefined;
  }
}

/** FNV-1a of the bytes up to the terminator. */
function hash(text: Uint8Array, from: number, terminator: number): number {
  let value = 0x811c9dc5;
  const end = Math.min(text.length, from + MAX_NAME);
  for (let at = from; at < end; at++) {
    const byte = text[at]!;
    if (byte === terminator) break;
    value = Math.imul(value ^ byte, 0x01000193);
  }
  return value ^ (value >>> 15);
}

/** Non-negative 64-bit numbers by index, in halves of 32 bits. */
export interface Keys {
  readonly length: number;
  low(index: number): number;
  high(index: number): number;
}

/** Uses the first `length` of `values`, integers below 2^53, as keys. */
export function numberKeys(values: Float64Array, length = values.length): Keys {
  return {
    length,
    // `>>>` yields a number's lowest 32 bits.
    low: (index) => values[index]! >>> 0,
    high: (index) => (values[index]! * 2 ** -32) >>> 0,
  };
}

const DIGITS = [
  { shift: 0, bits: 11 },
  { shift: 11, bits: 11 },
  { shift: 22, bits: 10 },
] as const;

/**
 * Returns the indices of keys in ascending order (stable radix sort). Sorts millions in about a second,
 * ten times as fast as a comparison sort.
 */
export function ascending(keys: Keys): Uint32Array {
  const { length } = keys;
  let order = new Uint32Array(length);
  for (let index = 0; index < length; index++) order[index] = index;
  let sorted = new Uint32Array(length);
  for (const half of [keys.low, keys.high]) {
    for (const { shift, bits } of DIGITS) {
      const mask = (1 << bits) - 1;
      const places = new Uint32Array(1 << bits);
      for (let index = 0; index < length; index++) places[(half(index) >>> shift) & mask]!++;
      // Skips a digit that is equal in all keys.
      if (length > 0 && places[(half(0) >>> shift) & mask] === length) continue;
      let place = 0;
      for (let digit = 0; digit < places.length; digit++) {
        const having = places[digit]!;
        places[digit] = place;
        place += having;
      }
      for (let i = 0; i < length; i++) {
        const index = order[i]!;
        sorted[places[(half(index) >>> shift) & mask]!++] = index;
      }
      [order, sorted] = [sorted, order];
    }
  }
  return order;
}
