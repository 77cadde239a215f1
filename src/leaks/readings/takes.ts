import type { AllocationType, Gap, Reading, Recording } from '../recording.js';
import { SurvivorList } from './survivor-list.js';
import type { ReadingMethod } from './take.js';
import { KnownSites, Tally } from './tally.js';

/** What is the same of all readings. */
export interface TakesOrder {
  /** A file, to be told where something is missing. */
  readonly source: string;
  /** Bytes. */
  readonly pageSize: number;
  readonly maxSurvivors: number;
}

/** Readings as they are taken, and the recording that they make. */
export class Takes {
  readonly #order: TakesOrder;
  readonly #known = new KnownSites();
  readonly #readings: Reading[] = [];
  readonly #survivors: SurvivorList;
  #withoutStack = 0;
  #strange = 0;
  #cut = 0;
  #inaccurate = 0;
  #unreadable = 0;

  constructor(order: TakesOrder) {
    this.#order = order;
    this.#survivors = new SurvivorList(order.maxSurvivors);
  }

  /**
   * @param at milliseconds since the first
   * @param read tells what is held now; resolves to the number of parts that could not be read
   */
  async one(at: number, read: (tally: Tally) => Promise<number>): Promise<void> {
    const isLater = this.#readings.length > 0;
    const survivors = this.#survivors;
    if (isLater) survivors.again();
    const tally = new Tally(this.#known, this.#order.pageSize, (block) => {
      if (isLater) survivors.last(block);
      else survivors.first(block);
    });
    const unreadable = await read(tally);
    this.#readings.push({ at, held: tally.held() });
    if (tally.blocksUnknown) survivors.unknown = true;
    this.#withoutStack = tally.withoutStack;
    this.#strange = Math.max(this.#strange, tally.strange);
    this.#cut = Math.max(this.#cut, tally.cut);
    this.#inaccurate = Math.max(this.#inaccurate, tally.inaccurate);
    this.#unreadable = Math.max(this.#unreadable, unreadable);
  }

  recording(
    type: AllocationType,
    method: Recording['method'] & ReadingMethod,
    endedEarly: boolean,
  ): Recording {
    const survivors = this.#survivors;
    const { source } = this.#order;
    const gaps: readonly Gap[] = [
      { code: 'truncated' as const, source, count: this.#cut },
      { code: 'malformed' as const, source, count: this.#strange },
      { code: 'inaccurate' as const, source, count: this.#inaccurate },
      { code: 'unreadable' as const, source, count: this.#unreadable },
      { code: 'sites' as const, source, count: this.#known.others },
    ].filter(({ count }) => count > 0);
    return {
      type,
      method,
      gaps,
      endedEarly,
      sample: { oneIn: 1, mask: 0n, residue: 0n },
      sites: this.#known.sites,
      readings: this.#readings,
      survivors: survivors.isTold ? survivors.survivors : [],
      survivorsLeftOut: survivors.isTold ? survivors.leftOut : null,
      // There are no events that could be lost.
      losses: {
        overrun: 0,
        unknownFrees: 0,
        missedFrees: 0,
        withoutStack: this.#withoutStack,
        dropped: 0,
      },
      unseen: null,
    };
  }
}
