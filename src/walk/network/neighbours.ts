import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { TornList } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';

/** Tables that are read: NEIGH_ARP_TABLE and NEIGH_ND_TABLE (include/net/neighbour.h). */
const TABLES = 2;

/** log2 of the most buckets: an array of 2^24 takes 128 MiB. */
const MOST_SHIFT = 24;

/** Neighbours of a table; what was met is remembered. */
const MOST_NEIGHBOURS = 2 ** 23;

/** How many buckets are read at a time. */
const CHUNK = 512;

/**
 * Skbs that wait for the link-layer address of where they are sent to (`neighbour.arp_queue`), and
 * requests that are answered for others after a while (`neigh_table.proxy_queue`), of ARP and of
 * IPv6's neighbour discovery (net/core/neighbour.c).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link TornList};
 *   {@link ReadError}
 */
export function* neighbourSkbs(kernel: Kernel, lists: SkbLists): Generator<bigint> {
  const reader = new NeighbourReader(kernel, lists);
  for (const table of neighbourTables(kernel)) yield* reader.ofTable(table);
}

/** Addresses of the `struct neigh_table`s that are in use. */
function neighbourTables(kernel: Kernel): bigint[] {
  const tables = kernel.symbol('neigh_tables');
  if (tables === undefined) {
    // Where the table of symbols has functions only, modules are still given these two.
    const discovery = kernel.symbol('nd_tbl');
    return [needSymbol(kernel, 'arp_tbl'), ...(discovery === undefined ? [] : [discovery])];
  }
  const view = readPartOf(kernel, 'neigh_tables', tables, tables, TABLES * 8);
  const all = Array.from({ length: TABLES }, (_, index) => view.getBigUint64(index * 8, true));
  return all.filter((table) => table !== 0n);
}

class NeighbourReader {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #table;
  readonly #hash;
  readonly #link: bigint;
  readonly #neighbour;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#table = new StructReader(kernel, 'neigh_table', ['proxy_queue', 'entries', 'nht']);
    const hash = kernel.struct('neigh_hash_table');
    const neighbour = kernel.struct('neighbour');
    // Since 6.13 they are in an hlist. Either way a bucket is a pointer, and so is each link.
    const buckets = hash?.member('hash_heads') ?? hash?.member('hash_buckets');
    const link = neighbour?.member('hash.next') ?? neighbour?.member('next');
    const shift = hash?.member('hash_shift');
    if (!buckets || !link || !shift) {
      const message = 'the hash table of neighbours has other members than are known';
      throw new KernelError('unsupported-layout', message);
    }
    this.#hash = { buckets, shift };
    this.#link = BigInt(link.offset);
    this.#neighbour = new StructReader(kernel, 'neighbour', ['tbl', 'arp_queue.qlen', 'arp_queue']);
  }

  *ofTable(address: bigint): Generator<bigint> {
    const table = this.#table.read(address);
    const hash = table.pointer('nht');
    // Not set up: IPv6 that was turned off at boot.
    if (hash === 0n) return;
    yield* this.#lists.ring(table.addressOf('proxy_queue'));
    const count = table.number('entries');
    if (count === 0) return;
    if (count > MOST_NEIGHBOURS) throw new KernelError('damaged', `a table of ${count} neighbours`);
    // Those that were taken out and that somebody still uses count too, and have nothing waiting.
    const seen = new Set<bigint>();
    for (const first of this.#buckets(hash)) {
      for (let at = first; at !== 0n; at = this.#next(at)) {
        if (seen.has(at) || seen.size >= count) {
          throw new TornList(`the table at ${hex(address)} has over ${count} neighbours`);
        }
        seen.add(at);
        yield* this.#waiting(at, address);
      }
    }
  }

  *#buckets(hash: bigint): Generator<bigint> {
    const { buckets, shift } = this.#hash;
    const own = 'struct neigh_hash_table';
    const shiftAt = hash + BigInt(shift.offset);
    const log = readPartOf(this.#kernel, own, hash, shiftAt, 4).getUint32(0, true);
    if (log > MOST_SHIFT) throw new KernelError('damaged', `2^${log} buckets of neighbours`);
    const start = pointerPartOf(this.#kernel, own, hash, hash + BigInt(buckets.offset));
    for (let from = 0; from < 2 ** log; from += CHUNK) {
      const many = Math.min(CHUNK, 2 ** log - from);
      const at = start + BigInt(from * 8);
      const heads = readPartOf(this.#kernel, 'the buckets of neighbours', start, at, many * 8);
      for (let index = 0; index < many; index++) yield heads.getBigUint64(index * 8, true);
    }
  }

  #next(neighbour: bigint): bigint {
    return pointerPartOf(this.#kernel, 'struct neighbour', neighbour, neighbour + this.#link);
  }

  *#waiting(address: bigint, table: bigint): Generator<bigint> {
    const view = this.#neighbour.read(address);
    if (view.pointer('tbl') !== table) {
      throw new KernelError('damaged', `the neighbour at ${hex(address)} is of another table`);
    }
    const count = view.number('arp_queue.qlen');
    if (count === 0) return;
    let found = 0;
    for (const skb of this.#lists.ring(view.addressOf('arp_queue'))) {
      found++;
      yield skb;
    }
    if (found === count) return;
    throw new TornList(`the neighbour at ${hex(address)} counts ${count} skbs and has ${found}`);
  }
}
