import { sparedShare } from './cost.js';
import type { EventRates } from './rate.js';
import type { TraceFigures, TraceOrder } from './trace-order.js';

/** One second of much work alone is no reason; and in the first of all, code is compiled. */
const SECONDS_OVER = 2;

/** Of `maxBlocks`: from there on less is followed. */
const FULL = 0.8;

/** A sample is made smaller by so much at once at most: 2^4. */
const MOST_HALVINGS = 4;

/** Says when less is to be followed: it costs more than is allowed, or memory of our own gets full. */
export class Pacing {
  #over = 0;
  #looks = 0;
  readonly #order: Pick<TraceOrder, 'sample' | 'budget' | 'maxBlocks'>;
  readonly #rates: EventRates;

  constructor(order: Pick<TraceOrder, 'sample' | 'budget' | 'maxBlocks'>, rates: EventRates) {
    this.#order = order;
    this.#rates = rates;
  }

  /** Asked about each second. @returns how often the sample is to be halved */
  halvings({ share, perSecond, kept }: Pick<TraceFigures, 'share' | 'perSecond' | 'kept'>): number {
    const { sample, budget, maxBlocks } = this.#order;
    this.#looks++;
    // What does not come from events is not spared by less of them.
    const isOver = share > budget && sparedShare(this.#rates, perSecond) > budget / 2;
    this.#over = sample === 'auto' && isOver && this.#looks > 1 ? this.#over + 1 : 0;
    const forMemory = kept > maxBlocks * FULL ? 1 : 0;
    if (this.#over < SECONDS_OVER) return forMemory;
    this.#over = 0;
    return Math.max(1, Math.min(MOST_HALVINGS, Math.ceil(Math.log2(share / budget))));
  }
}
