import type { TraceCost } from '../../recording.js';
import { filteredShare, kernelSeconds } from './cost.js';
import type { EventRates } from './rate.js';
import type { TraceFigures } from './trace-order.js';

/** How often it is looked at. */
const EACH_NS = 1e9;

/** What was read until now. */
export interface ReadEvents {
  readonly allocations: number;
  readonly frees: number;
}

interface Moment extends ReadEvents {
  /** Nanoseconds since the origin of the streams. */
  readonly at: number;
  /** Our own CPU time, seconds. */
  readonly own: number;
}

/** What a recording costs while it runs: our own CPU time, and the kernel's by what each event costs. */
export class Spending {
  readonly #rates: EventRates;
  readonly #lowBit: number;
  readonly #first: Moment;
  #last: Moment;
  /** The kernel's seconds until now. */
  #kernel = 0;
  /** Events that the filter was asked about, of those that were read. */
  #offered = 0;

  constructor(rates: EventRates, lowBit: number, began: number) {
    this.#rates = rates;
    this.#lowBit = lowBit;
    this.#first = { at: began, own: ownSeconds(), allocations: 0, frees: 0 };
    this.#last = this.#first;
  }

  /** @returns null: it was looked at less than a second ago */
  look(
    at: number,
    read: ReadEvents,
    oneIn: number,
  ): Pick<TraceFigures, 'events' | 'perSecond' | 'oneIn' | 'share'> | null {
    if (at - this.#last.at < EACH_NS) return null;
    const seconds = (at - this.#last.at) / 1e9;
    const { own, kernel, events } = this.#since(at, read, oneIn);
    return {
      events: read.allocations + read.frees,
      perSecond: events / seconds,
      oneIn,
      share: (own + kernel) / seconds,
    };
  }

  /** All of it, when it has ended. */
  whole(at: number, read: ReadEvents, oneIn: number, budget: number | null): TraceCost {
    this.#since(at, read, oneIn);
    const seconds = (at - this.#first.at) / 1e9;
    const events = read.allocations + read.frees;
    if (!(seconds > 0)) return { share: null, budget, events, offeredPerSecond: null };
    return {
      share: (this.#last.own - this.#first.own + this.#kernel) / seconds,
      budget,
      events,
      offeredPerSecond: this.#offered / seconds,
    };
  }

  #since(at: number, read: ReadEvents, oneIn: number) {
    const now: Moment = { at, own: ownSeconds(), ...read };
    const passed = {
      allocations: read.allocations - this.#last.allocations,
      frees: read.frees - this.#last.frees,
    };
    const events = passed.allocations + passed.frees;
    const offered = events / filteredShare(this.#rates, oneIn, this.#lowBit);
    const kernel = kernelSeconds(this.#rates, offered, passed);
    const own = now.own - this.#last.own;
    this.#last = now;
    this.#kernel += kernel;
    this.#offered += offered;
    return { own, kernel, events };
  }
}

function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
