import { CHUNK } from './cache.js';

/** Chunks in a line: as many are read at a time where the file is read through. */
export const CHUNKS_PER_LINE = 4;

const LINE = CHUNK * CHUNKS_PER_LINE;

/** Lines for which memory is taken at a time. */
const LINES_PER_SLAB = 16;

/** Even a tiny budget holds what one struct and the tables that lead to it lie in. */
const FEWEST_LINES = 16;

/** Reads a chunk, or several in a row, into the start of `target`; gives the bytes it got. */
export type Fill = (target: Uint8Array, chunk: number, chunks: number) => number;

/**
 * Chunks of a file in memory that is used again and again: a process that reads a whole dump would
 * otherwise spend a fifth of its time on buffers and their collection. What it shows is overwritten
 * when the memory is needed for other chunks, so a view holds until the next chunk is asked for.
 *
 * Lines of four neighbouring chunks are kept and given up together, by the clock algorithm.
 */
export class LineCache {
  readonly #fill: Fill;
  readonly #most: number;
  readonly #slots = new Map<number, number>();
  readonly #lines: Float64Array;
  readonly #used: Uint8Array;
  /** Of each chunk of each slot the bytes that it has; -1: it was not read. */
  readonly #lengths: Int32Array;
  readonly #views: DataView[] = [];
  #slab = new ArrayBuffer(0);
  #hand = 0;
  #lastLine = -1;
  #lastSlot = 0;
  /** The chunk that follows the one that was read last. */
  #next = -1;

  /** @param budget bytes of memory at most */
  constructor(budget: number, fill: Fill) {
    this.#fill = fill;
    this.#most = Math.max(FEWEST_LINES, Math.floor(budget / LINE));
    this.#lines = new Float64Array(this.#most).fill(-1);
    this.#used = new Uint8Array(this.#most);
    this.#lengths = new Int32Array(this.#most * CHUNKS_PER_LINE);
  }

  /**
   * Where a chunk lies: the view of its line, to be read from `within(chunk)` on and for as many
   * bytes as `length` then says.
   */
  view(chunk: number, ahead: boolean): DataView {
    const line = Math.floor(chunk / CHUNKS_PER_LINE);
    const slot = line === this.#lastLine ? this.#lastSlot : this.#slot(line);
    const view = this.#views[slot]!;
    const part = chunk - line * CHUNKS_PER_LINE;
    if (this.#lengths[slot * CHUNKS_PER_LINE + part]! < 0)
      this.#load(chunk, slot, part, ahead && chunk === this.#next);
    return view;
  }

  /** Bytes that a chunk has; only for the chunk that was asked for last. */
  length(chunk: number): number {
    return this.#lengths[this.#lastSlot * CHUNKS_PER_LINE + (chunk % CHUNKS_PER_LINE)]!;
  }

  /** Reads a chunk again when it is asked for the next time. */
  forget(chunk: number): void {
    const line = Math.floor(chunk / CHUNKS_PER_LINE);
    const slot = this.#slots.get(line);
    if (slot === undefined) return;
    this.#lengths[slot * CHUNKS_PER_LINE + (chunk - line * CHUNKS_PER_LINE)] = -1;
  }

  #load(chunk: number, slot: number, part: number, through: boolean): void {
    let chunks = 1;
    const first = slot * CHUNKS_PER_LINE + part;
    if (through)
      while (part + chunks < CHUNKS_PER_LINE && this.#lengths[first + chunks]! < 0) chunks++;
    const { buffer, byteOffset } = this.#views[slot]!;
    const target = new Uint8Array(buffer, byteOffset + part * CHUNK, chunks * CHUNK);
    const read = this.#fill(target, chunk, chunks);
    this.#lengths[first] = Math.min(read, CHUNK);
    // One that was left short is read again by itself, if anybody asks for it.
    let whole = 1;
    while (whole < chunks && read >= (whole + 1) * CHUNK) this.#lengths[first + whole++] = CHUNK;
    this.#next = chunk + whole;
  }

  #slot(line: number): number {
    let slot = this.#slots.get(line);
    if (slot === undefined) {
      slot = this.#free();
      this.#slots.delete(this.#lines[slot]!);
      this.#slots.set(line, slot);
      this.#lines[slot] = line;
      const first = slot * CHUNKS_PER_LINE;
      this.#lengths.fill(-1, first, first + CHUNKS_PER_LINE);
    }
    this.#used[slot] = 1;
    this.#lastLine = line;
    this.#lastSlot = slot;
    return slot;
  }

  /** A slot that nobody asked for lately. */
  #free(): number {
    const made = this.#views.length;
    if (made < this.#most) {
      const at = made % LINES_PER_SLAB;
      if (at === 0) this.#slab = Buffer.allocUnsafeSlow(LINES_PER_SLAB * LINE).buffer;
      return this.#views.push(new DataView(this.#slab, at * LINE, LINE)) - 1;
    }
    for (; this.#used[this.#hand] !== 0; this.#hand = (this.#hand + 1) % this.#most)
      this.#used[this.#hand] = 0;
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % this.#most;
    return slot;
  }
}

/** Bytes from the start of a line's view to a chunk. */
export function within(chunk: number): number {
  return (chunk % CHUNKS_PER_LINE) * CHUNK;
}
