import { PlaceTable } from './place-table.js';

/** The end of a list. */
const NONE = -1;

/**
 * Adds up what sites have in chunks, and the squares of that (`estimate` needs both). Sites are numbers from 0 on.
 */
export class ClusterSums {
  readonly sum: Float64Array;
  readonly squares: Float64Array;
  /** The largest cluster of each. */
  readonly largest: Float64Array;
  /** Of each chunk the first of its sums; each sum has the number of the next. */
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

  /** Chunks that are one site's alone. */
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
