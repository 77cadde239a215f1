import type { Held } from '../recording.js';
import type { Allocations } from './allocations.js';
import { ClusterSums } from './cluster-sums.js';
import { estimate } from './estimate.js';
import type { SiteOf } from './follower.js';
import type { SampleSet } from './sample-set.js';

/** Adds up what sites hold at one moment. Stacks that have one site are one. */
export class SiteSums {
  readonly #names: string[] = [];
  readonly #bySite = new Map<string, number>();
  readonly #byStack = new Map<number, number>();
  readonly #blocks: Float64Array;
  readonly #clusters: ClusterSums;

  constructor(allocations: Allocations, siteOf: SiteOf) {
    allocations.each((number) => {
      const stack = allocations.stack(number);
      if (!this.#byStack.has(stack)) this.#byStack.set(stack, this.#numbered(siteOf(stack)));
    });
    this.#blocks = new Float64Array(this.#names.length);
    this.#clusters = new ClusterSums(this.#names.length);
  }

  /** @param times how many allocations one that is followed stands for */
  addBlock(stack: number, times: number): void {
    const site = this.#siteOf(stack);
    this.#blocks[site] = (this.#blocks[site] ?? 0) + times;
  }

  addPart(stack: number, chunk: number, bytes: number): void {
    this.#clusters.add(chunk, this.#siteOf(stack), bytes);
  }

  /** Whole chunks, or what nobody has sampled. */
  addWhole(stack: number, chunks: number, bytes: number): void {
    this.#clusters.addWhole(chunks, this.#siteOf(stack), bytes);
  }

  /**
   * @param known the largest cluster of each site that ever held something, in bytes; what is met now is added. One
   *   that holds nothing that is followed may hold something all the same, and stays among what is told
   */
  held({ oneIn }: SampleSet, known: Map<string, number>): Map<string, Held> {
    const { sum, squares, largest } = this.#clusters;
    const held = new Map<string, Held>();
    this.#names.forEach((name, site) => {
      const cluster = Math.max(known.get(name) ?? 0, largest[site] ?? 0);
      known.set(name, cluster);
      const blocks = this.#blocks[site] ?? 0;
      const seen = { sum: sum[site] ?? 0, squares: squares[site] ?? 0, blocks, cluster };
      held.set(name, estimate(seen, oneIn));
    });
    for (const [name, cluster] of known)
      if (!held.has(name))
        held.set(name, estimate({ sum: 0, squares: 0, blocks: 0, cluster }, oneIn));
    return held;
  }

  #siteOf(stack: number): number {
    return this.#byStack.get(stack) ?? 0;
  }

  #numbered(name: string): number {
    const known = this.#bySite.get(name);
    if (known !== undefined) return known;
    this.#bySite.set(name, this.#names.length);
    return this.#names.push(name) - 1;
  }
}
