import type { Held } from '../recording.js';
import { type Allocations, PlaceTable } from './allocations.js';
import { estimate, type StratumSample } from './estimate.js';
import type { SiteOf } from './follower.js';
import { type SampleSet, STRATA } from './sample-set.js';

/** The largest cluster ever observed in each stratum of a site, bytes. */
export type KnownClusters = Map<string, Map<number, number>>;

/** Sums what sites hold at one moment, by strata. Stacks of the same site are combined. */
export class SiteSums {
  readonly #names: string[] = [];
  readonly #bySite = new Map<string, number>();
  readonly #byStack = new Map<number, number>();
  readonly #blocks: Float64Array;
  readonly #clusters: ClusterSums;
  /** Cluster numbers by site and stratum (site * STRATA + stratum). */
  readonly #groups = new Map<number, number>();

  constructor(allocations: Allocations, siteOf: SiteOf, stratumOf: (number: number) => number) {
    allocations.each((number) => {
      const stack = allocations.stack(number);
      let site = this.#byStack.get(stack);
      if (site === undefined) {
        site = this.#numbered(siteOf(stack));
        this.#byStack.set(stack, site);
      }
      const group = site * STRATA + stratumOf(number);
      if (!this.#groups.has(group)) this.#groups.set(group, this.#groups.size);
    });
    this.#blocks = new Float64Array(this.#names.length);
    this.#clusters = new ClusterSums(this.#groups.size);
  }

  /** @param times number of allocations that a followed one represents */
  addBlock(stack: number, times: number): void {
    const site = this.#siteOf(stack);
    this.#blocks[site] = (this.#blocks[site] ?? 0) + times;
  }

  addPart(stack: number, stratum: number, chunk: number, bytes: number): void {
    this.#clusters.add(chunk, this.#groupOf(stack, stratum), bytes);
  }

  /** Complete chunks, or unsampled blocks. */
  addWhole(stack: number, stratum: number, chunks: number, bytes: number): void {
    this.#clusters.addWhole(chunks, this.#groupOf(stack, stratum), bytes);
  }

  /**
   * @param known clusters seen so far; new ones are added. A site without followed blocks may still hold
   * memory, and stays in the result
   */
  held({ oneIn }: SampleSet, known: KnownClusters): Map<string, Held> {
    const { sum, squares, largest } = this.#clusters;
    const strata = new Map<string, StratumSample[]>(this.#names.map((name) => [name, []]));
    for (const [key, group] of this.#groups) {
      const name = this.#names[Math.floor(key / STRATA)] ?? '';
      const clusters = known.get(name) ?? new Map<number, number>();
      known.set(name, clusters);
      const stratum = key % STRATA;
      const cluster = Math.max(clusters.get(stratum) ?? 0, largest[group] ?? 0);
      clusters.set(stratum, cluster);
      const seen = { sum: sum[group] ?? 0, squares: squares[group] ?? 0, cluster };
      if (seen.sum > 0) strata.get(name)?.push(seen);
    }
    for (const [name, clusters] of known) {
      const seen = strata.get(name) ?? [];
      strata.set(name, seen);
      for (const [stratum, cluster] of clusters)
        if (!this.#holds(name, stratum)) seen.push({ sum: 0, squares: 0, cluster });
    }
    return new Map(
      [...strata].map(([name, seen]) => {
        const blocks = this.#blocks[this.#bySite.get(name) ?? -1] ?? 0;
        const { bytes, lowBytes, highBytes, sampled } = estimate(seen, oneIn);
        // V8 allocates several times as much for a literal with a spread.
        return [name, { bytes, blocks, lowBytes, highBytes, sampled }];
      }),
    );
  }

  #holds(name: string, stratum: number): boolean {
    const site = this.#bySite.get(name);
    const group = site === undefined ? undefined : this.#groups.get(site * STRATA + stratum);
    return group !== undefined && (this.#clusters.sum[group] ?? 0) > 0;
  }

  #siteOf(stack: number): number {
    return this.#byStack.get(stack) ?? 0;
  }

  #groupOf(stack: number, stratum: number): number {
    return this.#groups.get(this.#siteOf(stack) * STRATA + stratum) ?? 0;
  }

  #numbered(name: string): number {
    const known = this.#bySite.get(name);
    if (known !== undefined) return known;
    this.#bySite.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}

/** The end of a list. */
const NONE = -1;

/**
 * Sums the bytes that sites hold in each chunk, and their squares: `estimate` needs both. Sites are numbers
 * from 0.
 */
class ClusterSums {
  readonly sum: Float64Array;
  readonly squares: Float64Array;
  /** The largest cluster of each site. */
  readonly largest: Float64Array;
  /** The first sum of each chunk; each sum contains the number of the next. */
  readonly #first = new PlaceTable();
  #room = 1024;
  #size = 0;
  #site = new Int32Array(this.#room);
  #next = new Int32Array(this.#room);
  #amount = new Float64Array(this.#room);

  constructor(sites: number) {
    this.sum = new Float64Array(sites);
    this.squares = new Float64Array(sites);
    this.largest = new Float64Array(sites);
  }

  add(chunk: number, site: number, amount: number): void {
    const head = this.#first.get(chunk);
    let at = head;
    while (at !== NONE && this.#site[at] !== site) at = this.#next[at] ?? NONE;
    if (at === NONE) {
      at = this.#added(site, head);
      this.#first.set(chunk, at);
    }
    const before = this.#amount[at] ?? 0;
    this.#amount[at] = before + amount;
    this.#grow(site, amount, (before + amount) ** 2 - before ** 2);
    this.largest[site] = Math.max(this.largest[site] ?? 0, before + amount);
  }

  /** Chunks that belong to one site only. */
  addWhole(chunks: number, site: number, amount: number): void {
    this.#grow(site, chunks * amount, chunks * amount ** 2);
    this.largest[site] = Math.max(this.largest[site] ?? 0, amount);
  }

  #grow(site: number, amount: number, square: number): void {
    this.sum[site] = (this.sum[site] ?? 0) + amount;
    this.squares[site] = (this.squares[site] ?? 0) + square;
  }

  #added(site: number, next: number): number {
    if (this.#size === this.#room) {
      this.#room *= 2;
      const [sites, nexts, amounts] = [this.#site, this.#next, this.#amount];
      this.#site = new Int32Array(this.#room);
      this.#next = new Int32Array(this.#room);
      this.#amount = new Float64Array(this.#room);
      this.#site.set(sites);
      this.#next.set(nexts);
      this.#amount.set(amounts);
    }
    this.#site[this.#size] = site;
    this.#next[this.#size] = next;
    return this.#size++;
  }
}
