import type { ByteSource } from './byte-source.js';

/** Bytes of a chunk: pread has a fixed cost per call, and 16 KiB measured best. */
export const CHUNK = 16384;

/**
 * Default size of the cache, in bytes. V8 collects dropped buffers late, about 64 MB later: with 16
 * MiB a process that reads an entire dump stays below 150 MB, with 32 MiB it does not.
 */
export const CACHE_BYTES = 16 * 1024 * 1024;

/**
 * One byte budget for all cached data of an image: file chunks, decompressed pages, bitmaps.
 *
 * Two generations instead of a true LRU: a hit in the young one costs a single Map lookup. When the
 * young generation fills half of the budget, it becomes the old one, and old entries that were not
 * used since are dropped. Buffers are never reused: views that a caller holds stay valid.
 */
export class BlockCache {
  readonly budget: number;
  readonly #half: number;
  readonly #spaces: CacheSpace<unknown>[] = [];
  #youngBytes = 0;

  /** @param budget maximum bytes of cached blocks. */
  constructor(budget = CACHE_BYTES) {
    this.budget = budget;
    this.#half = budget / 2;
  }

  /** A separate key space within the same budget. */
  space<Block>(): CacheSpace<Block> {
    const space = new CacheSpace<Block>((bytes) => this.#grow(bytes));
    this.#spaces.push(space);
    return space;
  }

  #grow(bytes: number): void {
    if (this.#youngBytes + bytes > this.#half) {
      for (const space of this.#spaces) space.age();
      this.#youngBytes = 0;
    }
    this.#youngBytes += bytes;
  }
}

interface Entry<Block> {
  readonly block: Block;
  readonly bytes: number;
}

export class CacheSpace<Block> {
  readonly #grow: (bytes: number) => void;
  #young = new Map<number, Entry<Block>>();
  #old = new Map<number, Entry<Block>>();

  constructor(grow: (bytes: number) => void) {
    this.#grow = grow;
  }

  get(key: number): Block | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young.block;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    return this.set(key, old.block, old.bytes);
  }

  /** @param bytes the block's size for the budget. */
  set(key: number, block: Block, bytes: number): Block {
    this.#grow(bytes);
    this.#young.set(key, { block, bytes });
    return block;
  }

  age(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }
}

/** Maximum number of cached chunks, of 16 KiB each: 1 MiB. */
const SLOTS = 64;

/**
 * A source read in aligned chunks: for small, adjacent data such as descriptors and compressed
 * pages. The data is decoded at once and the result cached elsewhere, so the chunks' buffers are
 * reused: garbage of this size is collected late, and would double memory use.
 */
export class ChunkedSource {
  readonly #source: ByteSource;
  readonly #keys = new Float64Array(SLOTS).fill(-1);
  readonly #buffers: (Uint8Array | undefined)[] = [];
  /** Number of valid bytes in each slot's chunk. */
  readonly #lengths = new Uint32Array(SLOTS);

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Returns the bytes, valid until the next read; undefined if the source ends before. */
  read(position: number, length: number): Uint8Array | undefined {
    const within = position % CHUNK;
    const key = (position - within) / CHUNK;
    if (within + length <= CHUNK) {
      const chunk = this.#chunk(key);
      return within + length <= chunk.length ? chunk.subarray(within, within + length) : undefined;
    }
    if (position + length > this.#source.size) return undefined;
    const joined = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const start = (within + done) % CHUNK;
      const chunk = this.#chunk(key + (within + done - start) / CHUNK);
      const part = chunk.subarray(start, start + length - done);
      if (part.length === 0) return undefined;
      joined.set(part, done);
      done += part.length;
    }
    return joined;
  }

  #chunk(key: number): Uint8Array {
    const slot = key % SLOTS;
    let buffer = this.#buffers[slot];
    if (buffer === undefined) {
      buffer = new Uint8Array(CHUNK);
      this.#buffers[slot] = buffer;
    }
    if (this.#keys[slot] !== key) {
      this.#keys[slot] = key;
      this.#lengths[slot] = this.#source.pread(buffer, CHUNK, key * CHUNK);
    }
    const length = this.#lengths[slot]!;
    return length === CHUNK ? buffer : buffer.subarray(0, length);
  }
}

/** Chunks per line: the number read at a time when a file is read sequentially. */
export const CHUNKS_PER_LINE = 4;

const LINE = CHUNK * CHUNKS_PER_LINE;

/** Lines for which memory is allocated at a time. */
const LINES_PER_SLAB = 16;

/** Even a minimal budget can hold one struct and the tables that lead to it. */
const MIN_LINES = 16;

/** Reads one chunk or several consecutive ones into the start of `target`; returns the number of bytes read. */
type Fill = (target: Uint8Array, chunk: number, chunks: number) => number;

/**
 * A cache of file chunks in reused memory: otherwise a process that reads an entire dump spends a
 * fifth of its time on allocating and collecting buffers. Memory is overwritten when it is needed
 * for other chunks, so a view is valid until the next chunk is requested.
 *
 * Lines of four adjacent chunks are cached and evicted together, by the clock algorithm.
 */
export class LineCache {
  readonly #fill: Fill;
  readonly #maxLines: number;
  readonly #slots = new Map<number, number>();
  readonly #lines: Float64Array;
  readonly #used: Uint8Array;
  /** Number of valid bytes of each chunk of each slot; -1 if not read. */
  readonly #lengths: Int32Array;
  readonly #views: DataView[] = [];
  #slab = new ArrayBuffer(0);
  #hand = 0;
  #lastLine = -1;
  #lastSlot = 0;
  /** The chunk after the one that was read last. */
  #next = -1;

  /** @param budget maximum bytes of memory */
  constructor(budget: number, fill: Fill) {
    this.#fill = fill;
    this.#maxLines = Math.max(MIN_LINES, Math.floor(budget / LINE));
    this.#lines = new Float64Array(this.#maxLines).fill(-1);
    this.#used = new Uint8Array(this.#maxLines);
    this.#lengths = new Int32Array(this.#maxLines * CHUNKS_PER_LINE);
  }

  /**
   * Returns the view of a chunk's line; the chunk begins at `offsetInLine(chunk)` and has as many bytes
   * as `length` then returns.
   */
  view(chunk: number, ahead: boolean): DataView {
    const line = Math.floor(chunk / CHUNKS_PER_LINE);
    const slot = line === this.#lastLine ? this.#lastSlot : this.#slot(line);
    const view = this.#views[slot]!;
    const part = chunk - line * CHUNKS_PER_LINE;
    if (this.#lengths[slot * CHUNKS_PER_LINE + part]! < 0) this.#load(chunk, slot, part, ahead && chunk === this.#next);
    return view;
  }

  /** Number of bytes in a chunk; only for the chunk that was requested last. */
  length(chunk: number): number {
    return this.#lengths[this.#lastSlot * CHUNKS_PER_LINE + (chunk % CHUNKS_PER_LINE)]!;
  }

  /** Discards a chunk, so that the next request reads it again. */
  discard(chunk: number): void {
    const line = Math.floor(chunk / CHUNKS_PER_LINE);
    const slot = this.#slots.get(line);
    if (slot === undefined) return;
    this.#lengths[slot * CHUNKS_PER_LINE + (chunk - line * CHUNKS_PER_LINE)] = -1;
  }

  #load(chunk: number, slot: number, part: number, through: boolean): void {
    let chunks = 1;
    const first = slot * CHUNKS_PER_LINE + part;
    if (through) while (part + chunks < CHUNKS_PER_LINE && this.#lengths[first + chunks]! < 0) chunks++;
    const { buffer, byteOffset } = this.#views[slot]!;
    const target = new Uint8Array(buffer, byteOffset + part * CHUNK, chunks * CHUNK);
    const read = this.#fill(target, chunk, chunks);
    this.#lengths[first] = Math.min(read, CHUNK);
    // A partially filled chunk is read again by itself on demand.
    let mask = 1;
    while (mask < chunks && read >= (mask + 1) * CHUNK) this.#lengths[first + mask++] = CHUNK;
    this.#next = chunk + mask;
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

  /** Returns a slot that was not used recently. */
  #free(): number {
    const index = this.#views.length;
    if (index < this.#maxLines) {
      const at = index % LINES_PER_SLAB;
      if (at === 0) this.#slab = Buffer.allocUnsafeSlow(LINES_PER_SLAB * LINE).buffer;
      return this.#views.push(new DataView(this.#slab, at * LINE, LINE)) - 1;
    }
    for (; this.#used[this.#hand] !== 0; this.#hand = (this.#hand + 1) % this.#maxLines) this.#used[this.#hand] = 0;
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % this.#maxLines;
    return slot;
  }
}

/** Bytes from the start of a line's view to a chunk. */
export function offsetInLine(chunk: number): number {
  return (chunk % CHUNKS_PER_LINE) * CHUNK;
}
