import { setTimeout as delay } from 'node:timers/promises';
import type { AllocationType, Gap, Reading, Recording } from '../recording.js';
import { liveReadings, type ReadingSource } from './reading-source.js';
import { READING_PATHS, type ReadingMethod, takeReading } from './take.js';
import { KnownSites, Tally } from './tally.js';
import { ToldSurvivors } from './told-survivors.js';

/** What is to be recorded by readings. */
export interface ReadingsOrder {
  readonly type: AllocationType;
  readonly method: ReadingMethod;
  /** From the first reading to the last. */
  readonly seconds: number;
  /** One reading more than these is taken. */
  readonly windows: number;
  /** Of the kernel, bytes. */
  readonly pageSize: number;
  readonly maxSurvivors: number;
  /** Ends it early: what was read until then counts, with a last reading now. */
  readonly stop: AbortSignal;
  /** Told after each reading. */
  readonly progress: (figures: ReadingsProgress) => void;
  /** The running kernel where it is left out. */
  readonly source?: ReadingSource;
}

/** How far it is. */
export interface ReadingsProgress {
  readonly readings: number;
  readonly of: number;
  /** Milliseconds that the last one took. */
  readonly took: number;
}

/**
 * Reads what the kernel keeps by itself, at the beginning and at the end of each window. Nothing is traced.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordReadings(order: ReadingsOrder): Promise<Recording> {
  const { type, method, seconds, windows, stop, progress } = order;
  const take = new Takes(order);
  const began = performance.now();
  let endedEarly = false;
  for (let window = 0; window <= windows; window++) {
    const due = began + (seconds * 1000 * window) / windows;
    if (window > 0) endedEarly = await waited(due, stop);
    const at = performance.now() - began;
    // Who ends it early waits for one more reading.
    await take.one(at, window > 0);
    progress({ readings: window + 1, of: windows + 1, took: performance.now() - began - at });
    if (endedEarly) break;
  }
  return take.recording(type, method, endedEarly);
}

/** @returns whether it was stopped */
async function waited(due: number, stop: AbortSignal): Promise<boolean> {
  const left = Math.max(0, due - performance.now());
  return delay(left, false, { signal: stop }).catch(() => true);
}

/** Readings as they are taken. */
class Takes {
  readonly #order: ReadingsOrder;
  readonly #known = new KnownSites();
  readonly #readings: Reading[] = [];
  readonly #survivors: ToldSurvivors;
  #withoutStack = 0;
  #strange = 0;
  #cut = 0;
  #inaccurate = 0;
  #unreadable = 0;

  constructor(order: ReadingsOrder) {
    this.#order = order;
    this.#survivors = new ToldSurvivors(order.maxSurvivors);
  }

  async one(at: number, isLater: boolean): Promise<void> {
    const { method, pageSize, source = liveReadings } = this.#order;
    const survivors = this.#survivors;
    if (isLater) survivors.again();
    const tally = new Tally(this.#known, pageSize, (block) =>
      isLater ? survivors.last(block) : survivors.first(block),
    );
    const unreadable = await takeReading(method, source, tally);
    this.#readings.push({ at, held: tally.held() });
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
    const source = READING_PATHS[method];
    const gaps: readonly Gap[] = [
      { code: 'cut' as const, source, count: this.#cut },
      { code: 'strange' as const, source, count: this.#strange },
      { code: 'inaccurate' as const, source, count: this.#inaccurate },
      { code: 'unreadable' as const, source, count: this.#unreadable },
      { code: 'sites' as const, source, count: this.#known.others },
    ].filter(({ count }) => count > 0);
    return {
      ...{ type, method, gaps, endedEarly },
      sample: { oneIn: 1, mask: 0n, residue: 0n },
      sites: this.#known.sites,
      readings: this.#readings,
      survivors: survivors.isTold ? survivors.survivors : [],
      survivorsLeftOut: survivors.isTold ? survivors.leftOut : null,
      // There are no events that could be lost.
      losses: {
        ...{ overrun: 0, unknownFrees: 0, missedFrees: 0 },
        withoutStack: this.#withoutStack,
        dropped: 0,
      },
      unseen: null,
    };
  }
}
