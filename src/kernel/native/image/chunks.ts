import { type BlockCache, type CacheSpace, CHUNK } from './cache.js';
import type { ByteSource } from './source.js';

/** A source read in aligned chunks through the cache: for what is small and lies together. */
export class ChunkedSource {
  readonly #source: ByteSource;
  readonly #chunks: CacheSpace<Uint8Array>;
  #lastKey = -1;
  #lastChunk: Uint8Array = new Uint8Array(0);

  constructor(source: ByteSource, cache: BlockCache) {
    this.#source = source;
    this.#chunks = cache.space();
  }

  /** The bytes, perhaps a view of a chunk (don't write); undefined where the source ends before. */
  read(position: number, length: number): Uint8Array | undefined {
    const within = position % CHUNK;
    const key = (position - within) / CHUNK;
    if (within + length <= CHUNK) {
      const chunk = this.#chunk(key);
      return within + length <= chunk.length ? chunk.subarray(within, within + length) : undefined;
    }
    if (position + length > this.#source.size) return undefined;
    const whole = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const start = (within + done) % CHUNK;
      const chunk = this.#chunk(key + (within + done - start) / CHUNK);
      const part = chunk.subarray(start, start + length - done);
      if (part.length === 0) return undefined;
      whole.set(part, done);
      done += part.length;
    }
    return whole;
  }

  #chunk(key: number): Uint8Array {
    if (key === this.#lastKey) return this.#lastChunk;
    let chunk = this.#chunks.get(key);
    if (chunk === undefined) {
      const bytes = new Uint8Array(CHUNK);
      const read = this.#source.pread(bytes, CHUNK, key * CHUNK);
      chunk = this.#chunks.set(key, read < CHUNK ? bytes.subarray(0, read) : bytes, CHUNK);
    }
    this.#lastKey = key;
    this.#lastChunk = chunk;
    return chunk;
  }
}
