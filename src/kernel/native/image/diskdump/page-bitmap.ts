import type { ByteSource } from '../byte-source.js';
import type { BlockCache, CacheSpace } from '../cache.js';

/** Bytes of the bitmap that are read, counted and cached together: 32768 pages, 128 MiB of memory. */
const BLOCK_BYTES = 4096;
const BLOCK_PAGES = BLOCK_BYTES * 8;
/** Words between two running counts within a block. */
const GROUP = 8;
/** Bytes to read at a time if the bitmap is only counted. */
const SWEEP_BYTES = 256 * 1024;

/** The page is not in the bitmap. */
export const NOT_SET = -1;
/** The file ends before the bit. */
export const CUT = -2;

interface Block {
  readonly words: Uint32Array;
  /** Set bits in the block before each group of words. */
  readonly before: Uint16Array;
  /** Number of bytes that the file contains. */
  readonly bytes: number;
  readonly set: number;
}

/**
 * A bitmap of pages in a file, with ranks: a page's descriptor is found by counting the set bits
 * before it. A terabyte's bitmap is 32 MiB, so it is not kept in memory: counts per block are
 * computed once, in a single pass only as far as needed, and blocks are cached.
 */
export class PageBitmap {
  readonly #source: ByteSource;
  readonly #offset: number;
  readonly #pages: number;
  readonly #blocks: CacheSpace<Block>;
  /** Set bits in [from, start of block i): known for the first `#counted` blocks. */
  readonly #counts: Float64Array;
  readonly #from: number;
  #counted = 0;
  #lastKey = -1;
  #lastBlock: Block | undefined;

  /**
   * @param offset file offset of the bitmap, in bytes.
   * @param pages number of bits.
   * @param from first page that counts for ranks (a part of a split dump has no earlier pages).
   */
  constructor(source: ByteSource, offset: number, pages: number, from: number, cache: BlockCache) {
    this.#source = source;
    this.#offset = offset;
    this.#pages = pages;
    this.#from = from;
    this.#blocks = cache.space();
    this.#counts = new Float64Array(Math.ceil(pages / BLOCK_PAGES) + 1);
    // Blocks before `from` are not counted, and the first one only from there on.
    this.#counted = Math.floor(Math.min(from, pages) / BLOCK_PAGES) + 1;
    const before = this.#rankIn(this.#counted - 1, from % BLOCK_PAGES);
    this.#counts[this.#counted - 1] = before === CUT ? 0 : -before;
  }

  /** Returns the rank of a page that is set (0 for the first one), else NOT_SET or CUT. */
  rank(page: number): number {
    if (page >= this.#pages || page < this.#from) return NOT_SET;
    const number = Math.floor(page / BLOCK_PAGES);
    const block = this.#block(number);
    const bit = page % BLOCK_PAGES;
    const word = bit >>> 5;
    if (word * 4 + 4 > block.bytes && bit >>> 3 >= block.bytes) return CUT;
    if (((block.words[word]! >>> (bit & 31)) & 1) === 0) return NOT_SET;
    if (number >= this.#counted && !this.#count(number)) return CUT;
    return this.#counts[number]! + rankIn(block, bit);
  }

  has(page: number): boolean {
    if (page >= this.#pages) return false;
    const { words } = this.#block(Math.floor(page / BLOCK_PAGES));
    const bit = page % BLOCK_PAGES;
    return ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;
  }

  /** Set bits in [from, end), or CUT. */
  countTo(end: number): number {
    const last = Math.min(end, this.#pages);
    if (last <= this.#from) return 0;
    const number = Math.floor(last / BLOCK_PAGES);
    const bit = last % BLOCK_PAGES;
    if (number >= this.#counted && !this.#count(number)) return CUT;
    if (bit === 0) return this.#counts[number]!;
    const within = this.#rankIn(number, bit);
    return within === CUT ? CUT : this.#counts[number]! + within;
  }

  /** Runs of set bits in [start, end), as page numbers, `end` exclusive. */
  *runs(start: number, end: number): Generator<{ start: number; end: number }> {
    const last = Math.min(end, this.#pages);
    let runStart = -1;
    let page = start;
    while (page < last) {
      const { words, bytes, set: setBits } = this.#block(Math.floor(page / BLOCK_PAGES));
      const bit = page % BLOCK_PAGES;
      if (setBits === 0 && runStart < 0) {
        // An empty block, as in most of a sparse bitmap; the following ones are empty too where the
        // file ends.
        if (bytes === 0) return;
        page = this.#afterEmpty(Math.floor(page / BLOCK_PAGES) + 1) * BLOCK_PAGES;
        continue;
      }
      const word = words[bit >>> 5]!;
      const wordEnd = Math.min(page - (bit & 31) + 32, last);
      if (word === 0 || word === 0xffffffff) {
        if (word === 0 && runStart >= 0) {
          yield { start: runStart, end: page };
          runStart = -1;
        } else if (word !== 0 && runStart < 0) {
          runStart = page;
        }
        page = wordEnd;
        continue;
      }
      for (; page < wordEnd; page++) {
        const set = ((word >>> (page % 32)) & 1) === 1;
        if (set && runStart < 0) runStart = page;
        else if (!set && runStart >= 0) {
          yield { start: runStart, end: page };
          runStart = -1;
        }
      }
    }
    if (runStart >= 0) yield { start: runStart, end: last };
  }

  /** Returns the first block from `number` on that is not empty or not in the file, with increasing read sizes. */
  #afterEmpty(number: number): number {
    let block = number;
    for (let length = BLOCK_BYTES; block * BLOCK_PAGES < this.#pages; ) {
      const bytes = Buffer.alloc(length);
      const read = this.#source.pread(bytes, length, this.#offset + block * BLOCK_BYTES);
      if (!bytes.equals(Buffer.alloc(length))) {
        return block + Math.floor(bytes.findIndex((byte) => byte !== 0) / BLOCK_BYTES);
      }
      block += Math.floor(read / BLOCK_BYTES);
      if (read < length) break;
      length = Math.min(2 * length, SWEEP_BYTES);
    }
    return block;
  }

  #rankIn(number: number, bit: number): number {
    if (bit === 0) return 0;
    const block = this.#block(number);
    return (bit + 7) >>> 3 > block.bytes ? CUT : rankIn(block, bit);
  }

  #block(number: number): Block {
    if (number === this.#lastKey && this.#lastBlock !== undefined) return this.#lastBlock;
    let block = this.#blocks.get(number);
    if (block === undefined) {
      // Little-endian bytes match the word order of every machine that kdump-mem runs on.
      const words = new Uint32Array(BLOCK_BYTES / 4);
      const bytes = new Uint8Array(words.buffer);
      const read = this.#source.pread(bytes, BLOCK_BYTES, this.#offset + number * BLOCK_BYTES);
      const before = new Uint16Array(words.length / GROUP);
      let count = 0;
      for (let i = 0; i < words.length; i++) {
        if (i % GROUP === 0) before[i / GROUP] = count;
        count += bitsSet(words[i]!);
      }
      block = this.#blocks.set(number, { words, before, bytes: read, set: count }, BLOCK_BYTES + 512);
    }
    this.#lastKey = number;
    this.#lastBlock = block;
    return block;
  }

  /** Computes the counts of all blocks up to `number`; false if the file ends before. */
  #count(number: number): boolean {
    const words = new Uint32Array(SWEEP_BYTES / 4);
    const bytes = new Uint8Array(words.buffer);
    while (this.#counted <= number) {
      const first = this.#counted - 1;
      const blocks = Math.min(SWEEP_BYTES / BLOCK_BYTES, number - first);
      const wanted = blocks * BLOCK_BYTES;
      const read = this.#source.pread(bytes, wanted, this.#offset + first * BLOCK_BYTES);
      if (read < wanted) return false;
      for (let i = 0; i < blocks; i++) {
        let count = this.#counts[first + i]!;
        // Bits of the first block before `from` were subtracted when counting began.
        for (let w = 0; w < BLOCK_BYTES / 4; w++) {
          count += bitsSet(words[(i * BLOCK_BYTES) / 4 + w]!);
        }
        this.#counts[first + i + 1] = count;
      }
      this.#counted += blocks;
    }
    return true;
  }
}

function rankIn({ words, before }: Block, bit: number): number {
  const word = bit >>> 5;
  const group = Math.floor(word / GROUP);
  if (group >= before.length) return 0;
  let rank = before[group]!;
  for (let i = group * GROUP; i < word; i++) rank += bitsSet(words[i]!);
  return rank + bitsSet(words[word]! & ((1 << (bit & 31)) - 1));
}

function bitsSet(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
