import { KernelError } from '../../../base/errors.js';
import type { LazyBytes } from '../memory.js';
import { TOKENS, type Tokens } from './tables.js';

/** `kallsyms_markers` contains the offset of every 256th name. */
export const NAMES_PER_MARKER = 256;
/** Longest name: KSYM_NAME_LEN is 512 since 6.1, 128 before. Includes the type letter and a margin. */
const MAX_NAME_BYTES = 1024;
/** Bytes of an entry of `kallsyms_seqs_of_names`, most significant first. */
export const SEQUENCE_BYTES = 3;

/** `kallsyms_names`: for each symbol in address order, a length, then that many tokens. */
export class KallsymsNames {
  readonly count: number;
  readonly #names: LazyBytes;
  readonly #markers: Uint32Array;
  readonly #tokens: Tokens;
  readonly #order: LazyBytes | undefined;
  /** Maximum size of the names: other data follows. */
  readonly #end: number;
  #hashes: NameHashes | undefined;

  /** @param order `kallsyms_seqs_of_names`: the symbols in name order (since 6.2). */
  constructor(names: LazyBytes, count: number, markers: Uint32Array, tokens: Tokens, end: number, order?: LazyBytes) {
    this.#names = names;
    this.count = count;
    this.#markers = markers;
    this.#tokens = tokens;
    this.#end = end;
    this.#order = order;
  }

  /** The same names with another order, for checking it. */
  orderedBy(order: LazyBytes): KallsymsNames {
    const { count } = this;
    return new KallsymsNames(this.#names, count, this.#markers, this.#tokens, this.#end, order);
  }

  /** Description of how names are found. */
  get search(): string {
    return this.#order ? 'binary search' : 'one linear pass';
  }

  /** Returns the name of a symbol, preceded by its type letter. */
  entry(index: number): string {
    const block = index >>> 8;
    let at = this.#block(block);
    for (let skip = index & (NAMES_PER_MARKER - 1); skip > 0; skip--) at = this.#next(at);
    return this.#decode(at);
  }

  /** All names with their type letters, decoded sequentially. */
  *entries(): Generator<string> {
    let at = 0;
    for (let index = 0; index < this.count; index++) {
      if ((index & (NAMES_PER_MARKER - 1)) === 0) at = this.#block(index >>> 8);
      yield this.#decode(at);
      at = this.#next(at);
    }
  }

  /** Indices of the symbols of that name, ascending. */
  find(name: string): number[] {
    if (name === '' || name.length > MAX_NAME_BYTES) return [];
    const indexes = this.#order ? this.#search(name, this.#order) : this.#lookUp(name);
    return indexes.sort((a, b) => a - b);
  }

  /** Index of the symbol at a position in the name order. */
  sequence(order: LazyBytes, place: number): number {
    const at = place * SEQUENCE_BYTES;
    order.need(at, at + SEQUENCE_BYTES);
    const { bytes } = order;
    const index = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    if (index >= this.count) throw new KernelError('damaged', `kallsyms: position ${place} refers to symbol ${index}`);
    return index;
  }

  #search(name: string, order: LazyBytes): number[] {
    const indexes = new Set<number>();
    const state = { suffix: false };
    this.#searchBy(ORDER_KEYS[0]!, name, order, indexes, state);
    // If no name sorts differently in the two orders, the first search was right.
    if (state.suffix) this.#searchBy(ORDER_KEYS[1]!, name, order, indexes, state);
    return [...indexes];
  }

  #searchBy(
    keyOf: (entry: string) => string,
    name: string,
    order: LazyBytes,
    indexes: Set<number>,
    state: { suffix: boolean },
  ): void {
    const key = keyOf(` ${name}`);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.entry(this.sequence(order, middle));
      state.suffix ||= entry.includes(SUFFIX);
      if (keyOf(entry) < key) low = middle + 1;
      else high = middle;
    }
    for (; low < this.count; low++) {
      const index = this.sequence(order, low);
      const entry = this.entry(index);
      state.suffix ||= entry.includes(SUFFIX);
      if (keyOf(entry) !== key) break;
      if (entry.slice(1) === name) indexes.add(index);
    }
  }

  #lookUp(name: string): number[] {
    this.#hashes ??= this.#hashAll();
    return this.#hashes.find(name).filter((index) => this.entry(index).slice(1) === name);
  }

  #hashAll(): NameHashes {
    const hashes = new NameHashes(this.count, this.#tokens);
    const { bytes } = this.#names;
    let at = 0;
    for (let index = 0; index < this.count; index++) {
      if ((index & (NAMES_PER_MARKER - 1)) === 0) {
        const block = this.#block(index >>> 8);
        // A changed length would assign all later names to the wrong symbols.
        if (index > 0 && at !== block) {
          const message = `kallsyms: malformed names before symbol ${index}`;
          throw new KernelError('damaged', message);
        }
        at = block;
      }
      const next = this.#next(at);
      hashes.set(index, bytes, at + (bytes[at]! & 0x80 ? 2 : 1), next);
      at = next;
    }
    return hashes;
  }

  /** Returns the offset of a block of names, after reading all its bytes. */
  #block(block: number): number {
    const from = this.#markers[block];
    if (from === undefined) throw new KernelError('damaged', 'kallsyms: no such symbol');
    const end = this.#markers[block + 1] ?? from + NAMES_PER_MARKER * MAX_NAME_BYTES;
    this.#names.need(from, Math.min(end, this.#end));
    return from;
  }

  /** Returns the offset of the name after the one at `at`. */
  #next(at: number): number {
    return nextName(this.#names.bytes, at);
  }

  #decode(at: number): string {
    const { bytes } = this.#names;
    const end = nextName(bytes, at);
    if (end > bytes.length) throw new KernelError('damaged', 'kallsyms: a name exceeds the table');
    let name = '';
    for (let next = at + (bytes[at]! & 0x80 ? 2 : 1); next < end; next++) {
      name += this.#tokens.strings[bytes[next]!]!;
      if (name.length > MAX_NAME_BYTES) throw new KernelError('damaged', 'kallsyms: a name is too long');
    }
    return name;
  }
}

/** Returns the offset of the next name: lengths from 128 on take two bytes, since 6.1. */
export function nextName(names: Uint8Array, at: number): number {
  const first = names[at];
  const second = names[at + 1];
  if (first === undefined || second === undefined) throw new KernelError('damaged', 'kallsyms: names truncated');
  return first & 0x80 ? at + 2 + ((first & 0x7f) | (second << 7)) : at + 1 + first;
}

/** Suffix that clang's LTO appends to names of local symbols, followed by a hash. */
const SUFFIX = '.llvm.';

/**
 * Sort keys of names: the name itself or, in kernels 6.2 to 6.11 built with LTO, the name without the suffix
 * that clang appends (cleanup_symbol_name in scripts/kallsyms.c). An entry begins with its type letter.
 */
export const ORDER_KEYS: readonly ((entry: string) => string)[] = [
  (entry) => entry.slice(1),
  (entry) => {
    const suffix = entry.indexOf(SUFFIX);
    return suffix < 0 ? entry.slice(1) : entry.slice(1, suffix);
  },
];

const PRIME = 0x01000193;

/**
 * Hashes of all names, combined from hashes of the tokens without expanding them: a string's hash is Σ
 * byte × PRIME^(bytes after it), so the hash of a concatenation follows from both hashes and the second
 * string's length.
 */
class NameHashes {
  readonly #hashes: Uint32Array;
  readonly #hash = new Uint32Array(TOKENS);
  readonly #power = new Uint32Array(TOKENS);
  /** Hash of each token without its first byte, which is the type letter in a name's first token. */
  readonly #tail = new Uint32Array(TOKENS);

  constructor(count: number, tokens: Tokens) {
    this.#hashes = new Uint32Array(count);
    for (let token = 0; token < TOKENS; token++) {
      const string = tokens.strings[token]!;
      this.#hash[token] = hashOf(string);
      this.#tail[token] = hashOf(string.slice(1));
      let power = 1;
      for (let byte = 0; byte < string.length; byte++) power = Math.imul(power, PRIME);
      this.#power[token] = power;
    }
  }

  /** Hashes the tokens in `bytes` from `from` to `end` as the name of symbol `index`. */
  set(index: number, bytes: Uint8Array, from: number, end: number): void {
    let hash = from < end ? this.#tail[bytes[from]!]! : 0;
    for (let at = from + 1; at < end; at++) {
      const token = bytes[at]!;
      hash = (Math.imul(hash, this.#power[token]!) + this.#hash[token]!) | 0;
    }
    this.#hashes[index] = hash;
  }

  find(name: string): number[] {
    const wanted = hashOf(name) >>> 0;
    const indexes: number[] = [];
    for (let index = this.#hashes.indexOf(wanted); index >= 0; index = this.#hashes.indexOf(wanted, index + 1))
      indexes.push(index);
    return indexes;
  }
}

function hashOf(string: string): number {
  let hash = 0;
  for (let at = 0; at < string.length; at++) hash = (Math.imul(hash, PRIME) + string.charCodeAt(at)) | 0;
  return hash;
}
