/** Bytes of a chunk: pread costs by the call, and 16 KiB measured best. */
export const CHUNK = 16384;

/** Default budget of the cache, in bytes. */
export const CACHE_BYTES = 32 * 1024 * 1024;

/**
 * One budget of bytes for everything that an image keeps: file chunks, inflated pages, bitmaps.
 *
 * Two generations instead of a true LRU: a hit in the young one costs a single Map lookup. When the
 * young generation has filled half of the budget it becomes the old one, and what nobody asked for
 * since goes. Buffers are dropped, never reused: views that a caller holds stay valid.
 */
export class BlockCache {
  readonly #half: number;
  readonly #spaces: CacheSpace[] = [];
  #youngBytes = 0;

  /** @param budget bytes of blocks held at most. */
  constructor(budget = CACHE_BYTES) {
    this.#half = budget / 2;
  }

  /** A set of keys of its own within the budget. */
  space(): CacheSpace {
    const space = new CacheSpace((bytes) => this.#grow(bytes));
    this.#spaces.push(space);
    return space;
  }

  clear(): void {
    for (const space of this.#spaces) space.clear();
    this.#youngBytes = 0;
  }

  #grow(bytes: number): void {
    if (this.#youngBytes + bytes > this.#half) {
      for (const space of this.#spaces) space.age();
      this.#youngBytes = 0;
    }
    this.#youngBytes += bytes;
  }
}

export class CacheSpace {
  readonly #grow: (bytes: number) => void;
  #young = new Map<number, Uint8Array>();
  #old = new Map<number, Uint8Array>();

  constructor(grow: (bytes: number) => void) {
    this.#grow = grow;
  }

  get(key: number): Uint8Array | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    return this.set(key, old);
  }

  set(key: number, block: Uint8Array): Uint8Array {
    this.#grow(block.byteLength);
    this.#young.set(key, block);
    return block;
  }

  age(): void {
    this.#old = this.#young;
    this.#young = new Map();
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
