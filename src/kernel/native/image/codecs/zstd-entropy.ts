/**
 * Entropy coding of zstd (RFC 8878, 4): bit streams, FSE and Huffman tables. Implemented from the
 * RFC. Corrupt input throws `DAMAGED`, which zstd.ts turns into undefined.
 */
export const DAMAGED = new Error('damaged zstd frame');

export function check(condition: boolean): void {
  if (!condition) throw DAMAGED;
}

/** A bit stream that is read backwards (4.1): the highest set bit of the last byte marks its end. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Number of bits left. Negative after reading past the start, which yields zeros. */
  left: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    check(end > start && bytes[end - 1] !== 0);
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start - 1) * 8 + (31 - Math.clz32(bytes[end - 1]!));
  }

  /** Returns the next `count` bits, at most 24, without consuming them. */
  peek(count: number): number {
    const from = this.left - count;
    if (from < 0) return count + from <= 0 ? 0 : this.#at(0, count + from) << -from;
    return this.#at(from, count);
  }

  /** Consumes `count` bits, at most 31. */
  read(count: number): number {
    if (count > 16) {
      const high = this.read(count - 16);
      return high * 65536 + this.read(16);
    }
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  #at(from: number, count: number): number {
    const bytes = this.#bytes;
    const i = this.#start + (from >>> 3);
    // Bytes after the stream belong to other data; the mask removes their bits.
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    return (word >>> (from & 7)) & ((1 << count) - 1);
  }
}

/** States of an FSE decoder: the symbol and the next state of each. */
export interface FseTable {
  /** log2 of the number of states. */
  log: number;
  readonly symbol: Uint8Array;
  /** Number of bits to read for the next state, which is `base` plus their value. */
  readonly bits: Uint8Array;
  readonly base: Uint16Array;
}

export function newFseTable(log: number): FseTable {
  const size = 1 << log;
  const table = { symbol: new Uint8Array(size), bits: new Uint8Array(size) };
  return { log: 0, ...table, base: new Uint16Array(size) };
}

const spread = new Uint16Array(256);

/** Builds the table for a distribution (4.1.1), where -1 means "less than one". */
export function fillFseTable(table: FseTable, counts: ArrayLike<number>, log: number): void {
  const size = 1 << log;
  let high = size;
  for (let s = 0; s < counts.length; s++) {
    spread[s] = Math.abs(counts[s]!);
    if (counts[s] === -1) table.symbol[--high] = s;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  for (let s = 0; s < counts.length; s++) {
    for (let i = 0; i < counts[s]!; i++) {
      table.symbol[at] = s;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  }
  check(at === 0);
  for (let i = 0; i < size; i++) {
    const next = spread[table.symbol[i]!]!++;
    const bits = log - (31 - Math.clz32(next));
    table.bits[i] = bits;
    table.base[i] = (next << bits) - size;
  }
  table.log = log;
}

/** Builds a table of one state that always yields `symbol`. */
export function fillRleTable(table: FseTable, symbol: number): void {
  table.log = 0;
  table.symbol[0] = symbol;
  table.bits[0] = 0;
  table.base[0] = 0;
}

const counts = new Int16Array(256);

/**
 * Reads the description of an FSE table (4.1.1) and builds the table.
 *
 * @returns the end offset of the description.
 */
export function readFseTable(
  table: FseTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  mostLog: number,
  mostSymbols: number,
): number {
  let bit = 0;
  const limit = (end - start) * 8;
  const read = (count: number): number => {
    check(bit + count <= limit);
    const i = start + (bit >>> 3);
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16);
    const value = (word >>> (bit & 7)) & ((1 << count) - 1);
    bit += count;
    return value;
  };
  const log = read(4) + 5;
  check(log <= mostLog);
  let remaining = 1 << log;
  let symbols = 0;
  while (remaining > 0) {
    check(symbols < mostSymbols);
    // A value of `width` bits, or one bit less if that is unambiguous.
    const width = 32 - Math.clz32(remaining + 1);
    const short = (1 << width) - 1 - (remaining + 1);
    const half = (1 << (width - 1)) - 1;
    let value = peekCount(width);
    if ((value & half) < short) {
      value &= half;
      bit += width - 1;
    } else {
      if (value > half) value -= short;
      bit += width;
    }
    check(bit <= limit);
    const count = value - 1;
    remaining -= Math.abs(count);
    counts[symbols++] = count;
    if (count !== 0) continue;
    for (let more = 3; more === 3; ) {
      more = read(2);
      check(symbols + more <= mostSymbols);
      for (let i = 0; i < more; i++) counts[symbols++] = 0;
    }
  }
  check(remaining === 0);
  fillFseTable(table, counts.subarray(0, symbols), log);
  return start + Math.ceil(bit / 8);

  function peekCount(width: number): number {
    const i = start + (bit >>> 3);
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16);
    return (word >>> (bit & 7)) & ((1 << width) - 1);
  }
}

/** A Huffman decoder: indexed by the next `log` bits. */
export interface HuffmanTable {
  log: number;
  readonly symbol: Uint8Array;
  readonly bits: Uint8Array;
}

/** Max_Number_of_Bits (4.2.1). */
const MAX_HUFFMAN_BITS = 11;
const MAX_WEIGHT_LOG = 6;

export function newHuffmanTable(): HuffmanTable {
  const size = 1 << MAX_HUFFMAN_BITS;
  return { log: 0, symbol: new Uint8Array(size), bits: new Uint8Array(size) };
}

const weights = new Uint8Array(256);
const weightCounts = new Uint16Array(16);
const weightStarts = new Uint16Array(16);
const weightTable = newFseTable(MAX_WEIGHT_LOG);

/**
 * Reads the description of a Huffman tree (4.2.1) and builds the table.
 *
 * @returns the end offset of the description.
 */
export function readHuffmanTable(table: HuffmanTable, bytes: Uint8Array, start: number, end: number): number {
  check(start < end);
  const header = bytes[start]!;
  let after: number;
  let count: number;
  if (header >= 128) {
    count = header - 127;
    after = start + 1 + ((count + 1) >> 1);
    check(after <= end);
    for (let i = 0; i < count; i++) {
      const pair = bytes[start + 1 + (i >> 1)]!;
      weights[i] = i % 2 === 0 ? pair >> 4 : pair & 15;
    }
  } else {
    after = start + 1 + header;
    check(after <= end);
    const stream = readFseTable(weightTable, bytes, start + 1, after, MAX_WEIGHT_LOG, 16);
    count = readWeights(new BackwardBits(bytes, stream, after));
  }
  fillHuffmanTable(table, count);
  return after;
}

/** Weights alternate between two states until the stream is used up (4.2.1.2). */
function readWeights(stream: BackwardBits): number {
  const { log, symbol, bits, base } = weightTable;
  let state = stream.read(log);
  let second = stream.read(log);
  check(stream.left >= 0);
  let count = 0;
  for (;;) {
    check(count < 254);
    weights[count++] = symbol[state]!;
    const next = base[state]! + stream.read(bits[state]!);
    if (stream.left < 0) {
      weights[count++] = symbol[second]!;
      return count;
    }
    state = second;
    second = next;
  }
}

function fillHuffmanTable(table: HuffmanTable, weightCount: number): void {
  let total = 0;
  for (let i = 0; i < weightCount; i++) {
    check(weights[i]! <= MAX_HUFFMAN_BITS);
    if (weights[i]! > 0) total += 1 << (weights[i]! - 1);
  }
  check(total > 0);
  const log = 32 - Math.clz32(total);
  check(log <= MAX_HUFFMAN_BITS);
  // The last weight is not stored: it completes the total to a power of two.
  const rest = (1 << log) - total;
  check((rest & (rest - 1)) === 0);
  weights[weightCount] = 32 - Math.clz32(rest);
  weightCounts.fill(0);
  for (let i = 0; i <= weightCount; i++) weightCounts[weights[i]!]!++;
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    weightStarts[weight] = at;
    at += weightCounts[weight]! << (weight - 1);
  }
  check(at === 1 << log);
  for (let s = 0; s <= weightCount; s++) {
    const weight = weights[s]!;
    if (weight === 0) continue;
    const start = weightStarts[weight]!;
    const stop = start + (1 << (weight - 1));
    for (let i = start; i < stop; i++) {
      table.symbol[i] = s;
      table.bits[i] = log + 1 - weight;
    }
    weightStarts[weight] = stop;
  }
  table.log = log;
}

/** Decodes one Huffman stream, which must yield exactly the expected bytes. */
export function readHuffmanStream(
  { log, symbol, bits }: HuffmanTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
  from: number,
  to: number,
): void {
  const stream = new BackwardBits(bytes, start, end);
  const mask = (1 << log) - 1;
  let bitsLeft = stream.left;
  for (let i = from; i < to; i++) {
    const place = bitsLeft - log;
    let code: number;
    if (place >= 0) {
      // BackwardBits.peek inlined: the hot path.
      const at = start + (place >>> 3);
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      code = (word >>> (place & 7)) & mask;
    } else {
      check(bitsLeft > 0);
      stream.left = bitsLeft;
      code = stream.peek(log);
    }
    output[i] = symbol[code]!;
    bitsLeft -= bits[code]!;
  }
  check(bitsLeft === 0);
}
