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
