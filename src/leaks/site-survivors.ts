import type { CensusEntry } from '../account/owners.js';
import type { Place, Unplaced } from '../records/leak-codes.js';
import type { Survivor } from './recording.js';
import { type Found, type Keeper, keeperOf, type Lookup } from './survivors/lookup.js';

/** Blocks of a site in one place. */
export interface PlaceSum {
  readonly place: Place;
  /** Category as in `kdump-mem memory`; null if unknown. */
  readonly category: Found['category'];
  /** Slab cache; untrusted. */
  readonly cache: string | null;
  readonly why: Unplaced | null;
  readonly keeper: Keeper;
  blocks: number;
  bytes: number;
}

/** Blocks of a site in the queues of one socket. */
export interface SocketSum {
  readonly entry: CensusEntry;
  blocks: number;
  bytes: number;
}

/** Looked-up blocks of one site; not scaled. */
export interface SiteSurvivors {
  readonly blocks: number;
  readonly bytes: number;
  /**
   * Number of blocks in `places` that count as held but may be free: the freelist of their slab could not be
   * read.
   */
  readonly maybeFree: number;
  /** Largest first. */
  readonly places: readonly PlaceSum[];
  readonly sockets: readonly SocketSum[];
  /** Age of the blocks still held, milliseconds; null: unknown. */
  readonly ages: { readonly median: number; readonly oldest: number } | null;
  /**
   * Unreferenced blocks by allocation time: in the first, second and last third of the recording. Null: the
   * method does not report times.
   */
  readonly thirds: readonly [number, number, number] | null;
  /** Order of the blocks still held, as allocated; null: different or unknown. */
  readonly order: number | null;
  /** Number of blocks still held, by command of the allocating thread; untrusted. */
  readonly commands: ReadonlyMap<string, number>;
}

/** Keepers whose blocks may never be freed. */
const UNOWNED: readonly Keeper[] = ['unreferenced', 'queued'];

/** Maximum number of distinct commands of a site. */
const MAX_COMMANDS = 32;

/**
 * Looks up all survivors.
 *
 * @param ended end of the recording, milliseconds since its beginning
 */
export function lookUp(
  survivors: readonly Survivor[],
  lookup: Lookup,
  ended: number,
): ReadonlyMap<string, SiteSurvivors> {
  const sums = new Map<string, Sum>();
  for (const survivor of survivors) {
    const sum = sums.get(survivor.site) ?? new Sum(ended);
    sums.set(survivor.site, sum);
    sum.add(survivor, lookup.of(survivor));
  }
  return new Map([...sums].map(([site, sum]) => [site, sum.result()]));
}

class Sum {
  readonly #ended: number;
  readonly #places = new Map<string, PlaceSum>();
  readonly #sockets = new Map<bigint, SocketSum>();
  readonly #ages: number[] = [];
  readonly #thirds: [number, number, number] = [0, 0, 0];
  readonly #commands = new Map<string, number>();
  readonly #orders = new Set<number | null>();
  #untimed = false;
  #blocks = 0;
  #bytes = 0;
  #maybeFree = 0;

  constructor(ended: number) {
    this.#ended = ended;
  }

  add({ bytes, since, command, order }: Survivor, found: Found): void {
    const { place, category, cache, why, socket } = found;
    this.#blocks++;
    this.#bytes += bytes;
    if (found.maybeFree) this.#maybeFree++;
    const key = `${place} ${category ?? ''} ${why ?? ''} ${cache ?? ''}`;
    const keeper = keeperOf(found);
    const sum = this.#places.get(key) ?? { place, category, cache, why, keeper, blocks: 0, bytes: 0 };
    this.#places.set(key, sum);
    sum.blocks++;
    sum.bytes += bytes;
    if (keeper === 'freed') return;
    this.#orders.add(order);
    if (socket !== null) {
      const queue = this.#sockets.get(socket.socket.sock) ?? { entry: socket, blocks: 0, bytes: 0 };
      this.#sockets.set(socket.socket.sock, queue);
      queue.blocks++;
      queue.bytes += bytes;
    }
    if (command !== null && (this.#commands.has(command) || this.#commands.size < MAX_COMMANDS))
      this.#commands.set(command, (this.#commands.get(command) ?? 0) + 1);
    if (since === null) {
      this.#untimed = true;
      return;
    }
    // The last reading takes time, and clocks are compared with microsecond precision.
    this.#ages.push(Math.max(0, this.#ended - since));
    if (!UNOWNED.includes(keeper)) return;
    const third = Math.min(2, Math.max(0, Math.floor((3 * since) / this.#ended)));
    this.#thirds[third]!++;
  }

  result(): SiteSurvivors {
    const ages = this.#ages.toSorted((a, b) => a - b);
    return {
      blocks: this.#blocks,
      bytes: this.#bytes,
      maybeFree: this.#maybeFree,
      places: [...this.#places.values()].toSorted((a, b) => b.bytes - a.bytes),
      sockets: [...this.#sockets.values()].toSorted((a, b) => b.bytes - a.bytes),
      ages: ages.length === 0 ? null : { median: ages[Math.floor(ages.length / 2)]!, oldest: ages.at(-1)! },
      thirds: this.#untimed ? null : this.#thirds,
      order: this.#orders.size === 1 ? ([...this.#orders][0] ?? null) : null,
      commands: this.#commands,
    };
  }
}
