import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { TornList } from '../list.js';
import { pointerPartOf, pointersPartOf, readPartOf } from '../named-read.js';
import type { SkbLists } from '../queues/skb-lists.js';
import { StructReader } from '../struct-reader.js';

/** Number of tables read: NEIGH_ARP_TABLE and NEIGH_ND_TABLE (include/net/neighbour.h). */
const TABLES = 2;

/** log2 of the maximum number of buckets: an array of 2^24 needs 128 MiB. */
const MAX_SHIFT = 24;

/** Maximum number of neighbours of a table; visited ones are remembered. */
const MAX_NEIGHBOURS = 2 ** 23;

/** Number of buckets read at a time. */
const CHUNK = 512;

/**
 * Skbs queued until the link-layer address of their next hop is resolved (`neighbour.arp_queue`), and
 * requests queued for a delayed proxy reply (`neigh_table.proxy_queue`), for ARP and IPv6 neighbour discovery
 * (net/core/neighbour.c).
 */
export function* neighbourSkbs(kernel: Kernel, lists: SkbLists): Generator<bigint> {
  const reader = new NeighbourReader(kernel, lists);
  for (const table of neighbourTables(kernel)) yield* reader.ofTable(table);
}

/** Addresses of the `struct neigh_table`s in use. */
function neighbourTables(kernel: Kernel): bigint[] {
  const tables = kernel.symbol('neigh_tables');
  if (tables === undefined) {
    // If the symbol table contains only functions, these two are still available, because they are exported
    // to modules.
    const discovery = kernel.symbol('nd_tbl');
    return [needSymbol(kernel, 'arp_tbl'), ...(discovery === undefined ? [] : [discovery])];
  }
  const all = pointersPartOf(kernel, 'neigh_tables', tables, tables, TABLES);
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
    // Since 6.13 neighbours are in an hlist. In both forms a bucket is a pointer, and so is each link.
    const buckets = hash?.member('hash_heads') ?? hash?.member('hash_buckets');
    const link = neighbour?.member('hash.next') ?? neighbour?.member('next');
    const shift = hash?.member('hash_shift');
    if (!buckets || !link || !shift) {
      throw unsupportedLayout('unsupported layout of the neighbour hash table');
    }
    this.#hash = { buckets, shift };
    this.#link = BigInt(link.offset);
    this.#neighbour = new StructReader(kernel, 'neighbour', ['tbl', 'arp_queue.qlen', 'arp_queue']);
  }

  *ofTable(address: bigint): Generator<bigint> {
    const table = this.#table.read(address);
    const hash = table.pointer('nht');
    // Not set up: IPv6 was disabled at boot.
    if (hash === 0n) return;
    yield* this.#lists.ring(table.addressOf('proxy_queue'));
    const count = table.number('entries');
    if (count === 0) return;
    if (count > MAX_NEIGHBOURS) throw damaged(`a table of ${count} neighbours`);
    // Removed neighbours that are still referenced count too; their queues are empty.
    const seen = new Set<bigint>();
    for (const first of this.#buckets(hash)) {
      for (let at = first; at !== 0n; at = this.#next(at)) {
        if (seen.has(at) || seen.size >= count) {
          throw new TornList(`the table at ${hex(address)} has more than ${count} neighbours`);
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
    if (log > MAX_SHIFT) throw damaged(`2^${log} buckets of neighbours`);
    const start = pointerPartOf(this.#kernel, own, hash, hash + BigInt(buckets.offset));
    for (let from = 0; from < 2 ** log; from += CHUNK) {
      const many = Math.min(CHUNK, 2 ** log - from);
      const at = start + BigInt(from * 8);
      yield* pointersPartOf(this.#kernel, 'the buckets of neighbours', start, at, many);
    }
  }

  #next(neighbour: bigint): bigint {
    return pointerPartOf(this.#kernel, 'struct neighbour', neighbour, neighbour + this.#link);
  }

  *#waiting(address: bigint, table: bigint): Generator<bigint> {
    const view = this.#neighbour.read(address);
    if (view.pointer('tbl') !== table) {
      throw damaged(`the neighbour at ${hex(address)} belongs to another table`);
    }
    const count = view.number('arp_queue.qlen');
    if (count === 0) return;
    let found = 0;
    for (const skb of this.#lists.ring(view.addressOf('arp_queue'))) {
      found++;
      yield skb;
    }
    if (found === count) return;
    throw new TornList(`the neighbour at ${hex(address)} counts ${count} skbs, but has ${found}`);
  }
}
