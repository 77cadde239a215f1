import { damaged } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { readPartOf } from './named-read.js';
import { StructReader } from './struct-reader.js';

/** Maximum number of entries of a ring: its array is one kvmalloc of less than 2 GiB. */
const MAX_ENTRIES = 2 ** 24;

/** Number of entries per read. */
const CHUNK = 512;

/** Reads the kernel's pointer rings (include/linux/ptr_ring.h). */
export class PtrRingReader {
  readonly #kernel: Kernel;
  readonly #ring;
  #end: StructReader<'producer' | 'size' | 'queue'> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#ring = new StructReader(kernel, 'ptr_ring', ['producer', 'consumer_head', 'consumer_tail', 'size', 'queue']);
  }

  /**
   * Yields the entries of the ring, oldest first: from `consumer_head` to the first NULL. Consumed entries,
   * from `consumer_tail` on, are set to NULL in batches.
   *
   * @param address of the `struct ptr_ring`
   */
  *entries(address: bigint): Generator<bigint> {
    const ring = this.#ring.read(address);
    const size = ring.number('size');
    const head = ring.number('consumer_head');
    const tail = ring.number('consumer_tail');
    if (size === 0) return;
    const producer = ring.number('producer');
    if (size > MAX_ENTRIES || head >= size || tail > head || producer >= size) {
      throw damaged(`the ring at ${hex(address)} has ${size} entries, read up to ${head}`);
    }
    let found = 0;
    for (const entry of this.#slots(ring.pointer('queue'), head, size, tail)) {
      if (entry === 0n) break;
      found++;
      yield entry;
    }
    // From the read to the write position; all of it if they are equal and the ring is not empty.
    const written = (producer - head + size) % size;
    if (this.#kernel.facts.live || found % size === written) return;
    const message = `the ring at ${hex(address)} has ${written} written entries, but ${found} were found`;
    throw damaged(message);
  }

  /**
   * Returns the number of free entries: NULL entries from `producer` on. Consumed entries that are not NULL
   * yet are not free.
   *
   * @throws as entries
   */
  room(address: bigint): number {
    this.#end ??= new StructReader(this.#kernel, 'ptr_ring', ['producer', 'size', 'queue']);
    const ring = this.#end.read(address);
    const size = ring.number('size');
    const producer = ring.number('producer');
    if (size > MAX_ENTRIES || (size > 0 && producer >= size)) {
      throw damaged(`the ring at ${hex(address)} has ${size} entries, written up to ${producer}`);
    }
    // Compares the entries with both ends of the ring.
    if (!this.#kernel.facts.live) for (const _ of this.entries(address));
    let room = 0;
    for (const entry of this.#slots(ring.pointer('queue'), producer, size, producer)) {
      if (entry !== 0n) break;
      room++;
    }
    return room;
  }

  /** Yields the slots from `first` to the ring's end, then from its start up to `last`. */
  *#slots(queue: bigint, first: number, size: number, last: number): Generator<bigint> {
    if ((queue & 7n) !== 0n) throw damaged(`the entries of a ring at ${hex(queue)} are misaligned`);
    for (const [from, to] of [
      [first, size],
      [0, last],
    ] as const) {
      for (let at = from; at < to; at += CHUNK) {
        const many = Math.min(CHUNK, to - at);
        const start = queue + BigInt(at * 8);
        const view = readPartOf(this.#kernel, 'the ring', queue, start, many * 8);
        for (let index = 0; index < many; index++) yield view.getBigUint64(index * 8, true);
      }
    }
  }
}
