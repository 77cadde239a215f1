import { TraceError } from '../../../base/errors/trace.js';
import type { Sample } from '../../recording.js';
import type { EventRates } from './rate.js';
import { ALL, MOST_ONE_IN, sampleOf } from './sample.js';

/**
 * What an event costs, in times of one write to `trace_marker` from here, which tells how fast a machine is.
 * Measured on 6.18, x86_64, by touching and giving back pages with and without each: such a write took 1.5 µs.
 */
const PRICES = {
  /** That the filter drops: 0.13 µs. */
  dropped: 0.09,
  /** That is written into a buffer: 0.3 µs. */
  kept: 0.2,
  /** With its stack: 3.2 µs. */
  withStack: 2.2,
  /** To read it and to know what it means, on our side: 4.5 µs. */
  read: 3,
} as const;

/** Of a budget: the rate of a moment is not that of the whole. */
const HEADROOM = 0.7;

/** What looking at the buffers costs where they are empty, as a share of one CPU. */
const IDLE_SHARE = 0.004;

/** Seconds of the kernel's time for events of a second. @param passed of each kind that come through the filter */
export function kernelSeconds(
  { markerSeconds }: Pick<EventRates, 'markerSeconds'>,
  all: number,
  passed: { readonly allocations: number; readonly frees: number },
): number {
  const { dropped, kept, withStack } = PRICES;
  const filtered = Math.max(0, all - passed.allocations - passed.frees);
  return (
    markerSeconds * (filtered * dropped + passed.allocations * withStack + passed.frees * kept)
  );
}

/** What to follow one place in so many costs, as a share of one CPU. */
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
 * @throws {TraceError} `trace-over-budget` not even the smallest
 */
export function affordable(rates: EventRates, budget: number, lowBit: number): Sample {
  for (let oneIn = 1; oneIn <= MOST_ONE_IN; oneIn *= 2)
    if (shareOf(rates, oneIn, lowBit) <= budget * HEADROOM)
      return oneIn === 1 ? ALL : sampleOf(oneIn, lowBit);
  const events = Math.round(rates.allocations.perSecond + rates.frees.perSecond);
  const least = shareOf(rates, MOST_ONE_IN, lowBit) / HEADROOM;
  throw new TraceError(
    'trace-over-budget',
    `${events} events per second would cost ${percent(least)} of a CPU even with --sample 1/${MOST_ONE_IN} (allowed: ${percent(budget)})`,
    { next: `Use --budget ${Math.ceil(least * 100)}%, or only larger blocks: --order 3` },
  );
}

/** Of one CPU, what events that are followed cost, so many each second: what a smaller sample would spare. */
export function sparedShare({ markerSeconds }: EventRates, perSecond: number): number {
  return perSecond * markerSeconds * (PRICES.read + (PRICES.withStack + PRICES.kept) / 2);
}

/** Of all events, which share comes through the filter. */
export function filteredShare(rates: EventRates, oneIn: number, lowBit: number): number {
  const all = rates.allocations.perSecond + rates.frees.perSecond;
  const { allocations, frees } = passedOf(rates, oneIn, lowBit);
  return all === 0 ? 1 / oneIn : (allocations + frees) / all;
}

/** Events of a second that come through the filter. */
function passedOf({ allocations, frees }: EventRates, oneIn: number, lowBit: number) {
  return {
    allocations: allocations.perSecond * passing(allocations.orders, oneIn, lowBit),
    frees: frees.perSecond * passing(frees.orders, oneIn, lowBit),
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** Of events that tell of blocks of these orders, which share comes through the filter. */
function passing(orders: readonly number[], oneIn: number, lowBit: number): number {
  const all = orders.reduce((sum, count) => sum + count, 0);
  if (all === 0) return 1 / oneIn;
  const passed = orders.reduce((sum, count, order) => {
    const oneInBlocks = Math.max(1, oneIn / 2 ** Math.max(0, order - lowBit));
    return sum + count / oneInBlocks;
  }, 0);
  return passed / all;
}
