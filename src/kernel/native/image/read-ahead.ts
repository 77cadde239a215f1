import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { FilePlace } from './byte-source.js';
import { isZlibError, zlibCodec } from './codecs/codec.js';
import { inflateLzo, inflateSnappy } from './codecs/lz77.js';
import { zstdCodec } from './codecs/zstd.js';

/**
 * Finds the compressed bytes of a block.
 *
 * @param add receives each place that they are in
 * @returns the number of its codec (DUMP_DH_COMPRESSED_…); undefined: the block is not read ahead
 */
export type PackedFinder = (block: number, add: (place: FilePlace, length: number) => void) => number | undefined;

/** Memory that a thread decompresses at a time, in bytes. */
const BATCH_BYTES = 256 * 1024;

/** Batches in work per thread. */
const BATCHES_PER_THREAD = 3;

/** Maximum number of threads: finding the compressed bytes takes a quarter as long as decompressing them. */
const MAX_THREADS = 8;

/** Blocks from which threads save more than their start takes: 128 MiB in pages of 4 KiB. */
const MIN_BLOCKS = 2 ** 15;

/** A batch that takes longer in a thread is decompressed without it: the thread was ended. */
const PATIENCE_MS = 60_000;

/** States of a batch; 0: never filled. */
const STATE = { packed: 1, unpacked: 2, ended: 3 } as const;

/** Numbers per batch: its state, its blocks; for each block the end of its places, its codec, whether it is unpacked. */
const HEAD = 2;
const PER_BLOCK = 3;

/** Numbers per place: file descriptor, offset, length. */
const PER_PLACE = 3;

/** Places of a batch per block: in a flattened dump, a block may be in two records. */
const PLACES_PER_BLOCK = 2;

/** Bytes that a thread reads at a time. */
const WINDOW = 64 * 1024;

/**
 * Reads and decompresses blocks that will be read, in threads. Only their bytes come from there: a block that a thread
 * cannot decompress, or did not in time, is read as if there was no thread, with the same result or error.
 */
export class ReadAhead {
  readonly #perBatch: number;
  readonly #pull: Iterator<number>;
  readonly #find: PackedFinder;
  readonly #batches: number;
  readonly #control: Int32Array;
  readonly #packed: Float64Array;
  readonly #unpacked: readonly DataView[];
  /** Block in each slot of all batches; -1: none. */
  readonly #blocks: Float64Array;
  /** The batch that blocks are taken from, and the block of it that is probably next. */
  #current = 0;
  #next = 0;

  private constructor(blockSize: number, blocks: Iterable<number>, find: PackedFinder, threads: number) {
    this.#perBatch = Math.max(1, Math.floor(BATCH_BYTES / blockSize));
    this.#pull = blocks[Symbol.iterator]();
    this.#find = find;
    this.#batches = BATCHES_PER_THREAD * threads;
    const bytes = this.#perBatch * blockSize;
    const numbers = HEAD + PER_BLOCK * this.#perBatch;
    this.#control = new Int32Array(new SharedArrayBuffer(4 * numbers * this.#batches));
    const places = PLACES_PER_BLOCK * this.#perBatch * PER_PLACE;
    this.#packed = new Float64Array(new SharedArrayBuffer(8 * places * this.#batches));
    const unpacked = new SharedArrayBuffer(bytes * this.#batches);
    const slots = this.#perBatch * this.#batches;
    this.#unpacked = Array.from({ length: slots }, (_, slot) => new DataView(unpacked, slot * blockSize, blockSize));
    this.#blocks = new Float64Array(slots).fill(-1);
    const shared = {
      control: this.#control,
      packed: this.#packed,
      unpacked: new Uint8Array(unpacked),
      sizes: {
        blockSize,
        bytes,
        numbers,
        batches: this.#batches,
        threads,
        window: Math.max(WINDOW, blockSize),
        places,
        head: HEAD,
        perBlock: PER_BLOCK,
        perPlace: PER_PLACE,
      },
      states: STATE,
    };
    const started: Worker[] = [];
    try {
      while (started.length < threads) {
        const thread = new Worker(THREAD, { eval: true, workerData: { ...shared, index: started.length } });
        thread.on('error', () => {});
        thread.unref();
        started.push(thread);
      }
    } catch (error) {
      this.stop();
      throw error;
    }
    for (let batch = 0; batch < this.#batches; batch++) this.#fill(batch);
  }

  /**
   * Undefined if threads do not pay: for few blocks, on one CPU, and where this system starts none.
   *
   * @param blocks numbers of blocks in the order in which they will be read
   * @param count about how many these are
   */
  static start(
    blockSize: number,
    blocks: Iterable<number>,
    count: number,
    find: PackedFinder,
    threads = Math.min(MAX_THREADS, availableParallelism()),
  ): ReadAhead | undefined {
    if (threads < 2 || count < MIN_BLOCKS) return undefined;
    try {
      return new ReadAhead(blockSize, blocks, find, threads);
    } catch {
      return undefined;
    }
  }

  /** The bytes of a block, valid until another is taken; undefined if it is not there, or not any more. */
  take(block: number): DataView | undefined {
    const next = this.#current * this.#perBatch + this.#next;
    const place = this.#blocks[next] === block ? next : this.#blocks.indexOf(block);
    if (place < 0) return undefined;
    const batch = Math.floor(place / this.#perBatch);
    for (; this.#current !== batch; this.#current = (this.#current + 1) % this.#batches) this.#fill(this.#current);
    const control = batch * (HEAD + PER_BLOCK * this.#perBatch);
    if (
      Atomics.load(this.#control, control) === STATE.packed &&
      Atomics.wait(this.#control, control, STATE.packed, PATIENCE_MS) === 'timed-out'
    ) {
      this.stop();
      return undefined;
    }
    const index = place % this.#perBatch;
    this.#next = index + 1;
    if (this.#control[control + HEAD + PER_BLOCK * index + 2] !== 1) return undefined;
    return this.#unpacked[place];
  }

  stop(): void {
    this.#blocks.fill(-1);
    const numbers = HEAD + PER_BLOCK * this.#perBatch;
    for (let batch = 0; batch < this.#batches; batch++) {
      Atomics.store(this.#control, batch * numbers, STATE.ended);
      Atomics.notify(this.#control, batch * numbers);
    }
  }

  /** Replaces a batch by the next one. */
  #fill(batch: number): void {
    const control = this.#control;
    const head = batch * (HEAD + PER_BLOCK * this.#perBatch);
    const first = batch * this.#perBatch;
    // A thread may be at work on a batch of which no block was taken.
    if (Atomics.load(control, head) === STATE.packed) Atomics.wait(control, head, STATE.packed, PATIENCE_MS);
    if (Atomics.load(control, head) === STATE.packed) this.stop();
    if (Atomics.load(control, head) === STATE.ended) return;
    this.#blocks.fill(-1, first, first + this.#perBatch);
    const packed = this.#packed;
    const most = PLACES_PER_BLOCK * this.#perBatch;
    let [count, end, added] = [0, 0, 0];
    const add = ({ descriptor, offset }: FilePlace, length: number) => {
      if (++added > most) return;
      const place = PER_PLACE * (batch * most + added - 1);
      packed[place] = descriptor;
      packed[place + 1] = offset;
      packed[place + 2] = length;
    };
    while (count < this.#perBatch) {
      const next = this.#pull.next();
      if (next.done) break;
      added = end;
      const flag = this.#find(next.value, add);
      if (flag === undefined || added > most) continue;
      end = added;
      const at = head + HEAD + PER_BLOCK * count;
      control[at] = end;
      control[at + 1] = flag;
      control[at + 2] = 0;
      this.#blocks[first + count++] = next.value;
    }
    control[head + 1] = count;
    if (count === 0) return;
    Atomics.store(control, head, STATE.packed);
    Atomics.notify(control, head);
  }
}

type ReadSync = (descriptor: number, target: Uint8Array, at: number, length: number, position: number) => number;

/** What a thread works on. */
interface Shared {
  readonly index: number;
  readonly control: Int32Array;
  readonly packed: Float64Array;
  readonly unpacked: Uint8Array;
  readonly sizes: Readonly<
    Record<
      | 'blockSize'
      | 'bytes'
      | 'numbers'
      | 'batches'
      | 'threads'
      | 'window'
      | 'places'
      | 'head'
      | 'perBlock'
      | 'perPlace',
      number
    >
  >;
  readonly states: typeof STATE;
}

/** Reads and decompresses every batch of a thread in turn until one of them has ended. */
function unpackBatches(
  { index, control, packed, unpacked, sizes, states }: Shared,
  codecs: ReadonlyMap<number, ((input: Uint8Array, size: number) => Uint8Array | undefined) | undefined>,
  readSync: ReadSync,
): void {
  const { blockSize, bytes, numbers, batches, threads, perPlace } = sizes;
  // Blocks that are read in order are mostly stored in order.
  const window = new Uint8Array(sizes.window);
  const joined = new Uint8Array(blockSize);
  let [open, start, end] = [-1, 0, 0];
  const bytesAt = (at: number, last: number): Uint8Array => {
    const [descriptor, offset, length] = [packed[at]!, packed[at + 1]!, packed[at + 2]!];
    if (descriptor !== open || offset < start || offset + length > end) {
      const untilLast = packed[last] === descriptor ? packed[last + 1]! + packed[last + 2]! - offset : 0;
      const wanted = Math.min(window.length, Math.max(length, untilLast));
      [open, start, end] = [descriptor, offset, offset];
      end += readSync(descriptor, window, 0, wanted, offset);
      if (offset + length > end) throw new Error('short read');
    }
    return window.subarray(offset - start, offset - start + length);
  };
  const inputOf = (first: number, after: number, last: number): Uint8Array => {
    if (after - first === perPlace) return bytesAt(first, last);
    let length = 0;
    for (let at = first; at < after; at += perPlace) {
      joined.set(bytesAt(at, last), length);
      length += packed[at + 2]!;
    }
    return joined.subarray(0, length);
  };
  for (let batch = index; ; batch = (batch + threads) % batches) {
    const head = batch * numbers;
    for (let state = Atomics.load(control, head); state !== states.packed; state = Atomics.load(control, head)) {
      if (state === states.ended) return;
      Atomics.wait(control, head, state);
    }
    const blocks = control[head + 1]!;
    const last = batch * sizes.places + perPlace * (control[head + sizes.head + sizes.perBlock * (blocks - 1)]! - 1);
    for (let block = 0, from = batch * sizes.places; block < blocks; block++) {
      const at = head + sizes.head + sizes.perBlock * block;
      const after = batch * sizes.places + perPlace * control[at]!;
      try {
        const codec = codecs.get(control[at + 1]!);
        const page = codec?.(inputOf(from, after, last), blockSize);
        if (page) {
          unpacked.set(page, batch * bytes + block * blockSize);
          control[at + 2] = 1;
        }
      } catch {
        // It is decompressed again where it is read, with the error.
      }
      from = after;
    }
    if (Atomics.compareExchange(control, head, states.packed, states.unpacked) === states.ended) return;
    Atomics.notify(control, head);
  }
}

/** Code of a thread: the text of functions, so that it works from a module, a bundle and an executable alike. */
const THREAD = `
const zlib = require('node:zlib');
const shared = require('node:worker_threads').workerData;
try {
  const isRefusal = ${isZlibError.toString()};
  let kept = Buffer.alloc(0);
  const reused = (size) => (kept.length === size ? kept : (kept = Buffer.allocUnsafeSlow(size)));
  const codecs = new Map([
    [1, (${zlibCodec.toString()})(zlib, isRefusal, reused)],
    [2, ${inflateLzo.toString()}],
    [4, ${inflateSnappy.toString()}],
    [32, (${zstdCodec.toString()})(zlib, isRefusal)],
  ]);
  (${unpackBatches.toString()})(shared, codecs, require('node:fs').readSync);
} catch {
  for (let at = 0; at < shared.control.length; at += shared.sizes.numbers) {
    Atomics.store(shared.control, at, shared.states.ended);
    Atomics.notify(shared.control, at);
  }
}`;
