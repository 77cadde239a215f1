import type { LeakPlace, LeakSurvivors } from '../contracts/leaks.js';
import { socketEnds } from '../records/socket-ends.js';
import type { Survivor } from './recording.js';
import { type Found, type Keeper, keeperOf, type Lookup } from './survivors/lookup.js';

/** A part of the answer while its blocks are counted. */
type Sum<Part> = Part & { blocks: number; bytes: number };

/** Looked-up blocks of one site; not scaled. */
export interface SiteSurvivors extends LeakSurvivors {
  readonly thirds: readonly [number, number, number] | null;
  /**
   * Number of blocks in `places` that count as held but may be free: the freelist of their slab could not be
   * read.
   */
  readonly maybeFree: number;
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
  const sums = new Map<string, SurvivorSum>();
  for (const survivor of survivors) {
    const sum = sums.get(survivor.site) ?? new SurvivorSum(ended);
    sums.set(survivor.site, sum);
    sum.add(survivor, lookup.of(survivor));
  }
  return new Map([...sums].map(([site, sum]) => [site, sum.result()]));
}

class SurvivorSum {
  readonly #ended: number;
  readonly #places = new Map<string, Sum<LeakPlace>>();
  readonly #sockets = new Map<bigint, Sum<LeakSurvivors['sockets'][number]>>();
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
    const sum = this.#places.get(key) ?? { place, category, cache, why, blocks: 0, bytes: 0 };
    this.#places.set(key, sum);
    sum.blocks++;
    sum.bytes += bytes;
    if (keeper === 'freed') return;
    this.#orders.add(order);
    if (socket !== null) {
      const queue = this.#sockets.get(socket.socket.sock) ?? { ...facts(socket), blocks: 0, bytes: 0 };
      this.#sockets.set(queue.sock, queue);
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
      order: this.#orders.size === 1 ? ([...this.#orders][0] ?? null) : null,
      places: [...this.#places.values()].toSorted((a, b) => b.bytes - a.bytes),
      sockets: [...this.#sockets.values()].toSorted((a, b) => b.bytes - a.bytes),
      ages: ages.length === 0 ? null : { median: ages[Math.floor(ages.length / 2)]!, oldest: ages.at(-1)! },
      thirds: this.#untimed ? null : this.#thirds,
      commands: [...this.#commands].map(([command, blocks]) => ({ command, blocks })),
      maybeFree: this.#maybeFree,
    };
  }
}

function facts({ socket, holders }: NonNullable<Found['socket']>) {
  const { sock, inode, protocol, local, peer } = socket;
  const processes = holders.map(({ pid, comm, fd }) => ({ pid, comm, fd }));
  return { sock, inode, protocol, local, peer, ...socketEnds(socket, local, peer), holders: processes };
}
