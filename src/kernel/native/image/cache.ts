/** Bytes of a chunk: pread costs by the call, and 16 KiB measured best. */
export const CHUNK = 16384;

/**
 * Default budget of the cache, in bytes. V8 collects what was dropped late, some 64 MB later: with
 * 16 MiB a process that reads a whole dump stays under 150 MB, with 32 MiB it does not.
 */
export const CACHE_BYTES = 16 * 1024 * 1024;

/**
 * One budget of bytes for everything that an image keeps: file chunks, inflated pages, bitmaps.
 *
 * Two generations instead of a true LRU: a hit in the young one costs a single Map lookup. When the
 * young generation has filled half of the budget it becomes the old one, and what nobody asked for
 * since goes. Buffers are dropped, never reused: views that a caller holds stay valid.
 */
export class BlockCache {
  readonly budget: number;
  readonly #half: number;
  readonly #spaces: CacheSpace<unknown>[] = [];
  #youngBytes = 0;

  /** @param budget bytes of blocks held at most. */
  constructor(budget = CACHE_BYTES) {
    this.budget = budget;
    this.#half = budget / 2;
  }

  /** A set of keys of its own within the budget. */
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

  /** @param bytes what the block weighs in the budget. */
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
