import { bytesOf } from '../bytes.js';
import type { KernelMemory } from './memory.js';

/** Bytes fetched at a time. */
export const CHUNK = 4096;
const CHUNK_BITS = Math.log2(CHUNK);

/** A table in the kernel's memory that is read on demand, in chunks. */
export class LazyBytes {
  /** The whole table; only ranges passed to `need` are valid. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #memory: Pick<KernelMemory, 'read'>;
  readonly #address: bigint;
  /** One byte per CHUNK: not 0 if it has been read. */
  readonly have: Uint8Array;

  /** @param length bytes to allocate: the caller has checked that they are plausible. */
  constructor(memory: Pick<KernelMemory, 'read'>, address: bigint, length: number) {
    this.#memory = memory;
    this.#address = address;
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    this.have = new Uint8Array(Math.ceil(length / CHUNK));
  }

  /**
   * Reads bytes `from` to `end`, within the table.
   *
   * @throws {ReadError} when they cannot be read.
   */
  need(from: number, end: number): void {
    const last = Math.min(Math.ceil(end / CHUNK), this.have.length);
    for (let chunk = Math.max(0, Math.floor(from / CHUNK)); chunk < last; chunk++) {
      if (this.have[chunk] === 0) this.#fetch(chunk, chunk + 1);
    }
  }

  /**
   * Reads the byte at each of these offsets with its surroundings; adjacent chunks in one read.
   *
   * @throws as {@link need}
   */
  needEach(places: Int32Array): void {
    const wanted = new Uint8Array(this.have.length);
    for (let index = 0; index < places.length; index++) {
      // A division would allocate a heap number as long as this code is not optimized.
      wanted[places[index]! >> CHUNK_BITS] = 1;
    }
    for (let chunk = 0; chunk < this.have.length; chunk++) {
      const first = chunk;
      while (wanted[chunk] === 1 && this.have[chunk] === 0) chunk++;
      if (chunk > first) this.#fetch(first, chunk);
    }
  }

  /** Reads chunks `first` to `end`, exclusive. */
  #fetch(first: number, end: number): void {
    const at = first * CHUNK;
    const length = Math.min(end * CHUNK, this.bytes.length) - at;
    const read = this.#memory.read(this.#address + BigInt(at), length);
    this.bytes.set(bytesOf(read, 0, length), at);
    this.have.fill(1, first, end);
  }
}
