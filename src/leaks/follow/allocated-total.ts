import { estimate } from './estimate.js';
import type { Total } from './follower.js';
import { PlaceTable } from './place-table.js';
import type { SampleSet } from './sample-set.js';

/** Where all is followed: frames that a sample taken later will hardly divide. */
const CHUNK_ORDER = 3;

/**
 * Adds up the frames of all allocations that were seen, freed by now or not. The same frames are taken again and
 * again, so that chunks, not allocations, are what is sampled.
 */
export class AllocatedTotal {
  #counts = new PlaceTable();
  #sum = 0;
  #known = true;
  #chunkOrder: number;
  readonly #maxChunks: number;

  constructor(set: SampleSet, maxChunks: number) {
    this.#chunkOrder = set.oneIn === 1 ? CHUNK_ORDER : set.chunkOrder;
    this.#maxChunks = maxChunks;
  }

  add(place: number, frames: number): void {
    this.#sum += frames;
    if (!this.#known) return;
    const chunk = Math.floor(place / 2 ** this.#chunkOrder);
    const before = this.#counts.get(chunk);
    if (before < 0 && this.#counts.size >= this.#maxChunks) this.#forget();
    else this.#counts.set(chunk, Math.max(0, before) + frames);
  }

  narrow(set: SampleSet): void {
    if (set.chunkOrder < this.#chunkOrder) this.#forget();
    if (!this.#known) return;
    const before = this.#counts;
    this.#counts = new PlaceTable();
    this.#sum = 0;
    before.each((chunk, frames) => {
      const place = chunk * 2 ** this.#chunkOrder;
      if (set.has(place)) this.add(place, frames);
    });
  }

  /** In frames; null where memory was short, and no interval can be told. */
  total({ oneIn }: SampleSet): Total | null {
    if (oneIn === 1) return { bytes: this.#sum, low: this.#sum, high: this.#sum };
    if (!this.#known) return null;
    let squares = 0;
    let largest = 2 ** this.#chunkOrder;
    this.#counts.each((_, frames) => {
      squares += frames ** 2;
      largest = Math.max(largest, frames);
    });
    const { bytes, low, high } = estimate([{ sum: this.#sum, squares, cluster: largest }], oneIn);
    return { bytes, low, high };
  }

  #forget(): void {
    this.#known = false;
    this.#counts = new PlaceTable();
  }
}
