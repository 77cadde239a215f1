import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** Entries of a ring: its array is one kvmalloc, which has less than 2 GiB. */
const MOST_ENTRIES = 2 ** 24;

/** How many entries are read at a time. */
const CHUNK = 512;

/** Reads the kernel's rings of pointers (include/linux/ptr_ring.h). */
export class PtrRingReader {
  readonly #kernel: Kernel;
  readonly #ring;
  #end: StructReader<'producer' | 'size' | 'queue'> | undefined;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#ring = new StructReader(kernel, 'ptr_ring', [
      'producer',
      'consumer_head',
      'consumer_tail',
      'size',
      'queue',
    ]);
  }

  /**
   * What is in the ring, the oldest first: from `consumer_head` on to the first that is NULL. What has
   * been taken out, from `consumer_tail` on, is set to NULL only now and then.
   *
   * @param address of the `struct ptr_ring`
   * @throws {KernelError} `damaged`; {@link ReadError}
   */
  *entries(address: bigint): Generator<bigint> {
    const ring = this.#ring.read(address);
    const size = ring.number('size');
    const head = ring.number('consumer_head');
    const tail = ring.number('consumer_tail');
    if (size === 0) return;
    const producer = ring.number('producer');
    if (size > MOST_ENTRIES || head >= size || tail > head || producer >= size) {
      const message = `the ring at ${hex(address)} has ${size} entries, read up to ${head}`;
      throw new KernelError('damaged', message);
    }
    let found = 0;
    for (const entry of this.#slots(ring.pointer('queue'), head, size, tail)) {
      if (entry === 0n) break;
      found++;
      yield entry;
    }
    // From where it is read to where it is written; all of it, if both are one and something is there.
    const written = (producer - head + size) % size;
    if (this.#kernel.facts.live || found % size === written) return;
    const message = `the ring at ${hex(address)} is written ${written} entries on, and ${found} are there`;
    throw new KernelError('damaged', message);
  }

  /**
   * How many more entries it takes: from `producer` on those that are NULL. What has been taken out and
   * is not NULL yet leaves no room.
   *
   * @throws as entries
   */
  room(address: bigint): number {
    this.#end ??= new StructReader(this.#kernel, 'ptr_ring', ['producer', 'size', 'queue']);
    const ring = this.#end.read(address);
    const size = ring.number('size');
    const producer = ring.number('producer');
    if (size > MOST_ENTRIES || (size > 0 && producer >= size)) {
      const message = `the ring at ${hex(address)} has ${size} entries, written up to ${producer}`;
      throw new KernelError('damaged', message);
    }
    let room = 0;
    for (const entry of this.#slots(ring.pointer('queue'), producer, size, producer)) {
      if (entry !== 0n) break;
      room++;
    }
    return room;
  }

  /** The slots from one on to the ring's end, and from its start up to another. */
  *#slots(queue: bigint, first: number, size: number, last: number): Generator<bigint> {
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
