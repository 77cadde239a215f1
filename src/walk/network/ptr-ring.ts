import { KernelError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
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

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#ring = new StructReader(kernel, 'ptr_ring', [
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
    if (size > MOST_ENTRIES || head >= size || tail > head) {
      const message = `the ring at ${hex(address)} has ${size} entries, read up to ${head}`;
      throw new KernelError('damaged', message);
    }
    const queue = ring.pointer('queue');
    for (const [from, to] of [
      [head, size],
      [0, tail],
    ] as const) {
      for (let at = from; at < to; at += CHUNK) {
        const many = Math.min(CHUNK, to - at);
        const start = queue + BigInt(at * 8);
        const view = readPartOf(this.#kernel, 'the ring', queue, start, many * 8);
        for (let index = 0; index < many; index++) {
          const entry = view.getBigUint64(index * 8, true);
          if (entry === 0n) return;
          yield entry;
        }
      }
    }
  }
}
