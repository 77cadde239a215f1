import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../../base/errors.js';
import type { Sample } from '../../recording.js';
import { ALLOCATED, FREED, POOLED, type StreamPlan } from './cpu-stream.js';
import type { TraceInstance } from './instance.js';
import { ALL, MAX_ONE_IN, sampleOf, type TracedEvents, type TraceFigures, type TraceOrder } from './kinds.js';
import { InstanceReader } from './reader.js';

/**
 * Cost of an event, in units of one write to `trace_marker` from here, which measures the speed of the
 * machine. Measured on 6.18, x86_64, by touching and freeing pages with and without each: such a write took
 * 1.5 µs.
 */
const PRICES = {
  /** Dropped by the filter: 0.13 µs. */
  dropped: 0.09,
  /** Written to a buffer: 0.3 µs. */
  kept: 0.2,
  /** Written to a buffer with its stack: 3.2 µs. */
  withStack: 2.2,
  /** Reading and parsing it in this process: 4.5 µs. */
  read: 3,
} as const;

/** Share of a budget: the current rate is not the average. */
const HEADROOM = 0.7;

/** Cost of polling empty buffers, as a share of one CPU. */
const IDLE_SHARE = 0.004;

/** Kernel CPU seconds for a number of events. @param passed events of each kind that pass the filter */
function kernelSeconds(
  { markerSeconds }: Pick<EventRates, 'markerSeconds'>,
  all: number,
  passed: { readonly allocations: number; readonly frees: number },
): number {
  const { dropped, kept, withStack } = PRICES;
  const filtered = Math.max(0, all - passed.allocations - passed.frees);
  return markerSeconds * (filtered * dropped + passed.allocations * withStack + passed.frees * kept);
}

/** Cost of following one place in `oneIn`, as a share of one CPU. */
export function shareOf(rates: EventRates, oneIn: number, lowBit: number): number {
  const { allocations, frees } = rates;
  const passed = passedOf(rates, oneIn, lowBit);
  const read = (passed.allocations + passed.frees) * PRICES.read * rates.markerSeconds;
  const all = allocations.perSecond + frees.perSecond;
  return IDLE_SHARE + read + kernelSeconds(rates, all, passed);
}

/**
 * The largest sample that a budget allows.
 *
 * @param budget share of one CPU
 * @throws {TraceError} `trace-over-budget` if even the smallest sample exceeds it
 */
export function affordable(rates: EventRates, budget: number, lowBit: number): Sample {
  for (let oneIn = 1; oneIn <= MAX_ONE_IN; oneIn *= 2)
    if (shareOf(rates, oneIn, lowBit) <= budget * HEADROOM) return oneIn === 1 ? ALL : sampleOf(oneIn, lowBit);
  const events = Math.round(rates.allocations.perSecond + rates.frees.perSecond);
  const least = shareOf(rates, MAX_ONE_IN, lowBit) / HEADROOM;
  throw new TraceError(
    'trace-over-budget',
    `${events} events per second would cost ${percent(least)} of a CPU even with --sample 1/${MAX_ONE_IN} (allowed: ${percent(budget)})`,
    { next: `Use --budget ${Math.ceil(least * 100)}%, or only larger blocks: --order 3` },
  );
}

/** Cost of followed events at this rate, as a share of one CPU: what a smaller sample would save. */
function sparedShare({ markerSeconds }: EventRates, perSecond: number): number {
  return perSecond * markerSeconds * (PRICES.read + (PRICES.withStack + PRICES.kept) / 2);
}

/** Share of all events that passes the filter. */
export function filteredShare(rates: EventRates, oneIn: number, lowBit: number): number {
  const all = rates.allocations.perSecond + rates.frees.perSecond;
  const { allocations, frees } = passedOf(rates, oneIn, lowBit);
  return all === 0 ? 1 / oneIn : (allocations + frees) / all;
}

/** Events per second that pass the filter. */
function passedOf({ allocations, frees }: EventRates, oneIn: number, lowBit: number) {
  return {
    allocations: allocations.perSecond * passing(allocations.orders, oneIn, lowBit),
    frees: frees.perSecond * passing(frees.orders, oneIn, lowBit),
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Share of events that pass the filter, by order. */
function passing(orders: readonly number[], oneIn: number, lowBit: number): number {
  const all = orders.reduce((sum, count) => sum + count, 0);
  if (all === 0) return 1 / oneIn;
  const passed = orders.reduce((sum, count, order) => {
    const oneInBlocks = Math.max(1, oneIn / 2 ** Math.max(0, order - lowBit));
    return sum + count / oneInBlocks;
  }, 0);
  return passed / all;
}

/** One busy second is no reason, and code is compiled in the first one. */
const SECONDS_OVER = 2;

/** Share of `maxBlocks` from which less is followed. */
const FULL = 0.8;

/** A sample is reduced by at most 2^4 at once. */
const MAX_HALVINGS = 4;

/** Decides when to follow less: if the recording exceeds its CPU budget, or if our own memory fills up. */
export class Pacing {
  #over = 0;
  #measurements = 0;
  readonly #order: Pick<TraceOrder, 'sample' | 'budget' | 'maxBlocks'>;
  readonly #rates: EventRates;

  constructor(order: Pick<TraceOrder, 'sample' | 'budget' | 'maxBlocks'>, rates: EventRates) {
    this.#order = order;
    this.#rates = rates;
  }

  /** Called each second. @returns how often the sample must be halved */
  halvings({ share, perSecond, kept }: Pick<TraceFigures, 'share' | 'perSecond' | 'kept'>): number {
    const { sample, budget, maxBlocks } = this.#order;
    this.#measurements++;
    // Fewer events save only the cost of events.
    const isOver = share > budget && sparedShare(this.#rates, perSecond) > budget / 2;
    this.#over = sample === 'auto' && isOver && this.#measurements > 1 ? this.#over + 1 : 0;
    const forMemory = kept > maxBlocks * FULL ? 1 : 0;
    if (this.#over < SECONDS_OVER) return forMemory;
    this.#over = 0;
    return Math.max(1, Math.min(MAX_HALVINGS, Math.ceil(Math.log2(share / budget))));
  }
}

/** Minimum interval of measurements. */
const EACH_NS = 1e9;

/** Number of events read so far. */
export interface ReadEvents {
  readonly allocations: number;
  readonly frees: number;
}

interface Moment extends ReadEvents {
  /** Nanoseconds since the origin of the streams. */
  readonly at: number;
  /** CPU time of this process, seconds. */
  readonly own: number;
}

/** Cost of a running recording: our own CPU time, and the kernel's by cost per event. */
export class Spending {
  readonly #rates: EventRates;
  readonly #lowBit: number;
  readonly #first: Moment;
  #last: Moment;
  /** Kernel CPU seconds so far. */
  #kernel = 0;
  /** Estimated number of events before filtering, so far. */
  #offered = 0;

  constructor(rates: EventRates, lowBit: number, began: number) {
    this.#rates = rates;
    this.#lowBit = lowBit;
    this.#first = { at: began, own: ownSeconds(), allocations: 0, frees: 0 };
    this.#last = this.#first;
  }

  /** @returns null if the last measurement is less than a second old */
  measure(
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

  /** Total cost, after the recording. */
  whole(at: number, read: ReadEvents, oneIn: number, budget: number | null) {
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
    const passed = { allocations: read.allocations - this.#last.allocations, frees: read.frees - this.#last.frees };
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

/** Rate of events of a kind, without a filter. */
interface EventRate {
  readonly perSecond: number;
  /** Number of examined events by order; objects have order 0. */
  readonly orders: readonly number[];
}

export interface EventRates {
  readonly allocations: EventRate;
  readonly frees: EventRate;
  /** Seconds of one write to `trace_marker`: the speed of the machine. */
  readonly markerSeconds: number;
}

/** Per CPU: only the newest events are examined. */
const BUFFER_KILOBYTES = 64;
/** More pages than such a buffer has. */
const PAGES = 64;
const PROBE_MS = 500;

const MARKER_ROUNDS = 10;
const MARKERS_IN_ROUND = 50;

/**
 * Measures event rates for half a second, with a small overwriting buffer and without stacks. The kernel
 * counts overwritten events.
 */
export async function measureRates(
  instance: TraceInstance,
  events: TracedEvents,
  plan: StreamPlan,
  stop: AbortSignal,
): Promise<EventRates> {
  instance.write('buffer_size_kb', String(BUFFER_KILOBYTES));
  const markerSeconds = timeMarkers(instance);
  instance.write('trace', '');
  const enabled = process.hrtime.bigint();
  for (const { system, name } of events.all) instance.write(`events/${system}/${name}/enable`, '1');
  await delay(PROBE_MS, undefined, { signal: stop }).catch(() => undefined);
  instance.write('events/enable', '0');
  const seconds = Number(process.hrtime.bigint() - enabled) / 1e9;
  const reader = new InstanceReader(instance, plan);
  try {
    return { ...ratesOf(instance, reader, seconds), markerSeconds };
  } finally {
    reader.close();
  }
}

function ratesOf(
  instance: TraceInstance,
  reader: InstanceReader,
  seconds: number,
): Pick<EventRates, 'allocations' | 'frees'> {
  const written = instance.cpus.reduce((sum, cpu) => {
    const stats = instance.stats(cpu);
    return sum + (stats === null ? 0 : stats.entries + stats.overrun + stats.dropped);
  }, 0);
  const orders: Readonly<Record<number, number[]>> = { [ALLOCATED]: [], [FREED]: [] };
  let looked = 0;
  reader.read(PAGES, 0);
  for (const { queue } of reader.streams)
    while (queue.size > 0)
      queue.shift((kind, _time, _place, length) => {
        const counts = orders[kind === POOLED ? ALLOCATED : kind];
        if (counts === undefined) return;
        looked++;
        const order = length >= 1 ? Math.floor(Math.log2(length)) : 0;
        for (let at = counts.length; at <= order; at++) counts[at] = 0;
        counts[order] = (counts[order] ?? 0) + 1;
      });
  const rateOf = (kind: number) => {
    const counts = orders[kind] ?? [];
    const count = counts.reduce((sum, count) => sum + count, 0);
    const share = looked === 0 ? 0.5 : count / looked;
    return { perSecond: (written * share) / seconds, orders: counts };
  };
  return { allocations: rateOf(ALLOCATED), frees: rateOf(FREED) };
}

/** The fastest of several rounds: other load must not count. */
function timeMarkers(instance: TraceInstance): number {
  const marker = openSync(`${instance.path}/trace_marker`, 'w');
  try {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < MARKER_ROUNDS; round++) {
      const from = process.hrtime.bigint();
      for (let write = 0; write < MARKERS_IN_ROUND; write++) writeSync(marker, 'x');
      least = Math.min(least, Number(process.hrtime.bigint() - from));
    }
    return least / MARKERS_IN_ROUND / 1e9;
  } finally {
    closeSync(marker);
  }
}
