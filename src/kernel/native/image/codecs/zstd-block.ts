import {
  BackwardBits,
  check,
  DAMAGED,
  type FseTable,
  fillFseTable,
  fillRleTable,
  newFseTable,
  newHuffmanTable,
  readFseTable,
  readHuffmanStream,
  readHuffmanTable,
} from './zstd-entropy.js';

/** Maximum content of a compressed block (RFC 8878, 3.1.1.2.4). */
const MAX_BLOCK_BYTES = 128 * 1024;

const LITERAL_LENGTH_COUNTS = [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
];
const MATCH_LENGTH_COUNTS = [
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];
const OFFSET_COUNTS = [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];
const LITERAL_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const MATCH_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3,
  3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const LITERAL_LENGTH_BASE = bases(0, LITERAL_LENGTH_BITS);
const MATCH_LENGTH_BASE = bases(3, MATCH_LENGTH_BITS);
const MAX_OFFSET_CODE = 31;

/** Base values: each code's range follows the previous code's (3.1.1.3.2.1.1). */
function bases(first: number, bits: readonly number[]): number[] {
  let base = first;
  return bits.map((count) => {
    const start = base;
    base += 2 ** count;
    return start;
  });
}

/** One of the three kinds of numbers in a sequence. */
class Codes {
  readonly #standard: FseTable;
  readonly #ownTable: FseTable;
  readonly #maxLog: number;
  readonly #symbols: number;
  /** The current table, which a later block may reuse; undefined at the start of a frame. */
  table: FseTable | undefined;

  constructor(standard: readonly number[], standardLog: number, mostLog: number, symbols: number) {
    this.#standard = newFseTable(standardLog);
    fillFseTable(this.#standard, standard, standardLog);
    this.#ownTable = newFseTable(mostLog);
    this.#maxLog = mostLog;
    this.#symbols = symbols;
  }

  /** Selects the table for a block's mode (3.1.1.3.2.1); returns its end offset. */
  selectTable(mode: number, bytes: Uint8Array, start: number, end: number): number {
    if (mode === 0) {
      this.table = this.#standard;
      return start;
    }
    if (mode === 3) {
      check(this.table !== undefined);
      return start;
    }
    this.table = this.#ownTable;
    if (mode === 2) {
      return readFseTable(this.#ownTable, bytes, start, end, this.#maxLog, this.#symbols);
    }
    check(start < end && bytes[start]! < this.#symbols);
    fillRleTable(this.#ownTable, bytes[start]!);
    return start + 1;
  }
}

/**
 * Decoder of compressed blocks. Its tables are scratch space, filled for each frame: one decoder
 * serves all pages, one at a time.
 */
export class BlockDecoder {
  readonly #huffman = newHuffmanTable();
  #huffmanKnown = false;
  readonly #lengths = new Codes(LITERAL_LENGTH_COUNTS, 6, 9, LITERAL_LENGTH_BITS.length);
  readonly #offsets = new Codes(OFFSET_COUNTS, 5, 8, MAX_OFFSET_CODE + 1);
  readonly #matches = new Codes(MATCH_LENGTH_COUNTS, 6, 9, MATCH_LENGTH_BITS.length);
  /** The last offsets, newest first. */
  readonly #recent = [1, 4, 8];
  #literals = new Uint8Array(4096);
  #literalCount = 0;

  startFrame(): void {
    this.#huffmanKnown = false;
    this.#lengths.table = undefined;
    this.#offsets.table = undefined;
    this.#matches.table = undefined;
    this.#recent.splice(0, 3, 1, 4, 8);
  }

  /** Decodes the block in [start, end) to `to` of the output; returns the new end of the output. */
  decode(bytes: Uint8Array, start: number, end: number, output: Uint8Array, to: number): number {
    const sequences = this.#readLiterals(bytes, start, end, output.length - to);
    return this.#readSequences(bytes, sequences, end, output, to);
  }

  /** Reads the literals section (3.1.1.3.1); returns its end offset. */
  #readLiterals(bytes: Uint8Array, start: number, end: number, room: number): number {
    check(start < end);
    const first = bytes[start]!;
    const type = first & 3;
    const format = (first >> 2) & 3;
    const byte = (i: number) => (start + i < end ? bytes[start + i]! : fail());
    if (type < 2) {
      let count = first >> 3;
      let at = start + 1;
      if (format === 1) {
        count = (first >> 4) | (byte(1) << 4);
        at = start + 2;
      } else if (format === 3) {
        count = (first >> 4) | (byte(1) << 4) | (byte(2) << 12);
        at = start + 3;
      }
      this.#makeRoom(count, room);
      if (type === 1) {
        check(at < end);
        this.#literals.fill(bytes[at]!, 0, count);
        return at + 1;
      }
      check(at + count <= end);
      this.#literals.set(bytes.subarray(at, at + count));
      return at + count;
    }

    const bits = format < 2 ? 10 : format === 2 ? 14 : 18;
    const headerBytes = (4 + 2 * bits) >> 3;
    let header = 0;
    for (let i = headerBytes - 1; i >= 0; i--) header = header * 256 + byte(i);
    const sizes = Math.floor(header / 16);
    const count = sizes % (1 << bits);
    const packed = Math.floor(sizes / (1 << bits));
    this.#makeRoom(count, room);
    let at = start + headerBytes;
    const after = at + packed;
    check(after <= end);
    if (type === 2) {
      at = readHuffmanTable(this.#huffman, bytes, at, after);
      this.#huffmanKnown = true;
    }
    check(this.#huffmanKnown);
    if (format === 0) {
      readHuffmanStream(this.#huffman, bytes, at, after, this.#literals, 0, count);
      return after;
    }
    this.#readFourStreams(bytes, at, after, count);
    return after;
  }

  #readFourStreams(bytes: Uint8Array, start: number, end: number, count: number): void {
    check(start + 6 <= end);
    const part = (count + 3) >> 2;
    check(part * 3 <= count);
    let at = start + 6;
    for (let i = 0; i < 4; i++) {
      const size = bytes[start + 2 * i]! | (bytes[start + 2 * i + 1]! << 8);
      const stop = i < 3 ? at + size : end;
      check(stop <= end);
      const to = i < 3 ? part * (i + 1) : count;
      readHuffmanStream(this.#huffman, bytes, at, stop, this.#literals, part * i, to);
      at = stop;
    }
  }

  #makeRoom(count: number, room: number): void {
    check(count <= room && count <= MAX_BLOCK_BYTES);
    if (count > this.#literals.length) this.#literals = new Uint8Array(count);
    this.#literalCount = count;
  }

  /** Reads and executes the sequences (3.1.1.3.2); returns the end of the output. */
  #readSequences(bytes: Uint8Array, start: number, end: number, output: Uint8Array, from: number): number {
    check(start < end);
    let at = start + 1;
    let count = bytes[start]!;
    if (count === 255) {
      check(at + 2 <= end);
      count = (bytes[at]! | (bytes[at + 1]! << 8)) + 0x7f00;
      at += 2;
    } else if (count >= 128) {
      check(at < end);
      count = ((count - 128) << 8) | bytes[at++]!;
    }
    let to = from;
    let literal = 0;
    if (count === 0) {
      check(at === end);
    } else {
      check(at < end);
      const modes = bytes[at++]!;
      check((modes & 3) === 0);
      at = this.#lengths.selectTable(modes >> 6, bytes, at, end);
      at = this.#offsets.selectTable((modes >> 4) & 3, bytes, at, end);
      at = this.#matches.selectTable((modes >> 2) & 3, bytes, at, end);
      const lengths = this.#lengths.table!;
      const offsets = this.#offsets.table!;
      const matches = this.#matches.table!;
      const stream = new BackwardBits(bytes, at, end);
      let lengthState = stream.read(lengths.log);
      let offsetState = stream.read(offsets.log);
      let matchState = stream.read(matches.log);
      for (let i = 0; i < count; i++) {
        const offsetCode = offsets.symbol[offsetState]!;
        const matchCode = matches.symbol[matchState]!;
        const lengthCode = lengths.symbol[lengthState]!;
        const offsetValue = 2 ** offsetCode + stream.read(offsetCode);
        const match = MATCH_LENGTH_BASE[matchCode]! + stream.read(MATCH_LENGTH_BITS[matchCode]!);
        const literals = LITERAL_LENGTH_BASE[lengthCode]! + stream.read(LITERAL_LENGTH_BITS[lengthCode]!);
        if (i < count - 1) {
          lengthState = lengths.base[lengthState]! + stream.read(lengths.bits[lengthState]!);
          matchState = matches.base[matchState]! + stream.read(matches.bits[matchState]!);
          offsetState = offsets.base[offsetState]! + stream.read(offsets.bits[offsetState]!);
        }
        check(stream.left >= 0);
        const offset = this.#offset(offsetValue, literals);
        check(literal + literals <= this.#literalCount);
        check(to + literals + match <= output.length);
        for (const stop = to + literals; to < stop; ) output[to++] = this.#literals[literal++]!;
        check(offset > 0 && offset <= to);
        if (match >= 32 && offset >= match) {
          output.copyWithin(to, to - offset, to - offset + match);
          to += match;
        } else {
          for (const stop = to + match; to < stop; to++) output[to] = output[to - offset]!;
        }
      }
      check(stream.left === 0);
    }
    const rest = this.#literalCount - literal;
    check(to + rest <= output.length);
    output.set(this.#literals.subarray(literal, this.#literalCount), to);
    return to + rest;
  }

  /** Returns a new offset, or one of the recent ones (3.1.1.5). */
  #offset(value: number, literals: number): number {
    const recent = this.#recent;
    const [first, second, third] = [recent[0]!, recent[1]!, recent[2]!];
    const index = value > 3 ? 3 : value - 1 + (literals === 0 ? 1 : 0);
    if (value <= 3 && index === 0) return first;
    const offset = value > 3 ? value - 3 : index === 1 ? second : index === 2 ? third : first - 1;
    recent[0] = offset;
    recent[1] = first;
    if (index !== 1 || value > 3) recent[2] = second;
    return offset;
  }
}

function fail(): never {
  throw DAMAGED;
}
