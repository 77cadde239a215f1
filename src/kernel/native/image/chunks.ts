import type { ByteSource } from './byte-source.js';
import { CHUNK } from './cache.js';

/** Chunks held at most, of 16 KiB each: 1 MiB. */
const SLOTS = 64;

/**
 * A source read in aligned chunks: for what is small and lies together, such as descriptors and
 * compressed pages. What is read here is decoded at once and kept by others, so the chunks' buffers are
 * used again and again: garbage of this size is collected late, and would double the memory used.
 */
export class ChunkedSource {
  readonly #source: ByteSource;
  readonly #keys = new Float64Array(SLOTS).fill(-1);
  readonly #buffers: (Uint8Array | undefined)[] = [];
  /** Bytes that each slot's chunk really has. */
  readonly #lengths = new Uint32Array(SLOTS);

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** The bytes, valid until the next read; undefined where the source ends before. */
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
