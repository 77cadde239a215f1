import { damaged, unsupportedLayout } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { TornList } from './list.js';
import { pointerPartOf, readPartOf } from './named-read.js';
import { StructReader } from './struct-reader.js';

/** Maximum number of buckets of a table: an array of 2^24 takes 128 MiB. */
const MAX_BUCKETS = 2 ** 24;

/** Maximum number of nodes; visited ones are remembered. */
const MAX_NODES = 2 ** 23;

/** Maximum number of successive tables that a table is being moved to. */
const MAX_TABLES = 16;

/** Number of buckets per read. */
const CHUNK = 512;

const WHOLE = 'the hash table';

/**
 * Walks the kernel's resizable hash tables (include/linux/rhashtable.h): an array of buckets, each a chain of
 * `struct rhash_head`. During a resize, nodes move to another array.
 */
export class RhashtableReader {
  readonly #kernel: Kernel;
  readonly #table;
  readonly #buckets;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#table = new StructReader(kernel, 'rhashtable', ['tbl', 'nelems']);
    this.#buckets = new StructReader(kernel, 'bucket_table', ['size', 'nest', 'future_tbl', 'buckets']);
  }

  /**
   * Addresses of the `struct rhash_head` of all entries.
   *
   * @param address of the `struct rhashtable`
   * @throws {TornList} if there are more or fewer than it counts; {@link KernelError} `damaged`,
   * `unsupported-layout`; {@link ReadError}
   */
  *nodes(address: bigint): Generator<bigint> {
    const table = this.#table.read(address);
    const count = table.number('nelems');
    if (count === 0) return;
    if (count > MAX_NODES) throw damaged(`a hash table of ${count} nodes`);
    const seen = new Set<bigint>();
    let buckets = table.pointer('tbl');
    for (let tables = 0; buckets !== 0n; tables++) {
      if (tables > MAX_TABLES) throw new TornList(`hash table ${hex(address)} does not terminate (loop?)`);
      yield* this.#ofBuckets(buckets, seen, count);
      buckets = this.#buckets.read(buckets).pointer('future_tbl');
    }
    if (seen.size === count) return;
    throw new TornList(`the hash table at ${hex(address)} has ${seen.size} of ${count} nodes`);
  }

  *#ofBuckets(address: bigint, seen: Set<bigint>, most: number): Generator<bigint> {
    const view = this.#buckets.read(address);
    const size = view.number('size');
    if (size > MAX_BUCKETS) throw damaged(`a hash table of ${size} buckets`);
    // A nested array, used while there is no memory for a contiguous one.
    if (view.number('nest') !== 0) throw unsupportedLayout('a hash table whose buckets are nested');
    for (let from = 0; from < size; from += CHUNK) {
      const many = Math.min(CHUNK, size - from);
      const at = view.addressOf('buckets') + BigInt(from * 8);
      const heads = readPartOf(this.#kernel, WHOLE, address, at, many * 8);
      for (let index = 0; index < many; index++) {
        yield* this.#chain(heads.getBigUint64(index * 8, true), address, seen, most);
      }
    }
  }

  /**
   * Yields the nodes of a chain. Bit 0 of a bucket is its lock; bit 0 of a link marks the end of the chain
   * (`rht_ptr`, `rht_is_a_nulls`).
   */
  *#chain(bucket: bigint, buckets: bigint, seen: Set<bigint>, most: number): Generator<bigint> {
    let node = bucket & ~1n;
    // A node that is being moved is in two chains.
    while (node !== 0n && (node & 1n) === 0n && !seen.has(node)) {
      if (seen.size >= most) throw new TornList(`a hash table has more than ${most} nodes`);
      seen.add(node);
      yield node;
      // rhash_head.next, its only member.
      node = pointerPartOf(this.#kernel, WHOLE, buckets, node);
    }
  }
}
