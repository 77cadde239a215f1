import { highHalf, lowHalf } from '../halves.js';
import { ascending } from './ascending.js';

/** A symbol as `nm` and /proc/kallsyms print it. */
export interface KernelSymbol {
  readonly name: string;
  /** nm's letter: upper case for global, lower case for local ones. */
  readonly type: string;
  /** Where it lies while the kernel runs. Per-CPU variables may be offsets into each CPU's area. */
  readonly address: bigint;
}

/** The symbols of the kernel image (not of its modules), wherever they come from. */
export interface SymbolTable {
  /** Number of symbols. */
  readonly count: number;
  /** All symbols of that name: names of local ones can repeat. */
  find(name: string): readonly KernelSymbol[];
  /** The last symbol at or before an address, or undefined where the address is before all. */
  before(address: bigint): KernelSymbol | undefined;
  /** The same; of several that lie at one address the first in the table: the kernel names that. */
  namedAt(address: bigint): KernelSymbol | undefined;
  /** Every symbol, in the table's own order. */
  all(): Iterable<KernelSymbol>;
}

/**
 * The one address that a name stands for. Where several symbols share it, a single global one is
 * meant; several local ones at different places are nobody's, and give undefined rather than a guess.
 */
export function onlyAddress(found: readonly KernelSymbol[]): bigint | undefined {
  const first = found[0];
  if (first === undefined || found.every((one) => one.address === first.address))
    return first?.address;
  const globals = found.filter((one) => one.type !== one.type.toLowerCase());
  const global = globals[0];
  return global !== undefined && globals.every((one) => one.address === global.address)
    ? global.address
    : undefined;
}

/**
 * Where a symbol lies, from its link-time address: KASLR moves the image, but not absolute symbols
 * nor offsets into the per-CPU areas, both of which are in the lower half of the address space.
 */
export function relocated(address: bigint, kernelOffset: bigint): bigint {
  return address >= 1n << 63n ? BigInt.asUintN(64, address + kernelOffset) : address;
}

/** A table that lists its symbols one after the other in a text: a System.map, a `.symtab`. */
export class ListedSymbols implements SymbolTable {
  readonly count: number;
  readonly #names: NameIndex;
  readonly #text: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #terminator: number;
  readonly #types: Uint8Array;
  readonly #addresses: BigUint64Array;
  #byAddress: Uint32Array | undefined;

  /** Arrays of one element a symbol; `types` are codes of nm's letters. */
  constructor(
    text: Uint8Array,
    nameAt: Int32Array,
    terminator: number,
    types: Uint8Array,
    addresses: BigUint64Array,
  ) {
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
    let place = this.#placeBefore(address);
    if (place < 0) return undefined;
    const rows = this.#byAddress!;
    while (place > 0 && this.#addresses[rows[place - 1]!] === this.#addresses[rows[place]!])
      place--;
    return this.#at(rows[place]!);
  }

  /** Among those sorted by address; -1 before all. */
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

/** Longest name that can be found, in bytes; bounds the hash of text without terminators. */
const MOST_NAME = 512;

/**
 * A hash table over names that stay where they are, in one large text: nothing is decoded, and a hit
 * is compared byte by byte.
 */
class NameIndex {
  readonly #text: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #terminator: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;

  /**
   * @param nameAt where in `text` the name of each entry begins
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

  /** Numbers of all entries of that name, in no order. */
  find(name: string): number[] {
    const bytes = Buffer.from(name, 'latin1');
    const found: number[] = [];
    if (bytes.length === 0 || bytes.length >= MOST_NAME || bytes.includes(this.#terminator))
      return found;
    const bucket = hash(bytes, 0, this.#terminator) & (this.#heads.length - 1);
    for (let entry = this.#heads[bucket]!; entry >= 0; entry = this.#next[entry]!) {
      if (this.#matches(this.#nameAt[entry]!, bytes)) found.push(entry);
    }
    return found;
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
  const end = Math.min(text.length, from + MOST_NAME);
  for (let at = from; at < end; at++) {
    const byte = text[at]!;
    if (byte === terminator) break;
    value = Math.imul(value ^ byte, 0x01000193);
  }
  return value ^ (value >>> 15);
}
