import type { ProcessSample } from '../../contracts/growth.js';
import type { EarlierBoot, WatchDoubtCode, WatchJson } from '../../contracts/watch.js';
import { DAY, DAY_HISTORY, type DaySeries, MIN_SECONDS } from '../day-trend.js';
import { keyOf, type OtherProcesses, ProcessGrowth } from '../processes.js';
import {
  CategoryGrowth,
  DeviceGrowth,
  type GrownCategory,
  type Judgement,
  type WatchAnswer,
  type WatchDoubt,
  type WatchFacts,
  type WatchSample,
} from './answer.js';

/** Maximum number of earlier boots. */
const MAX_EARLIER = 10;

/** A sample that is this many times its interval later than the previous one leaves a gap. */
const LATE = 2.5;

/**
 * Seconds by which two clocks may differ between samples: reads take time, and /proc/uptime has a resolution
 * of 0.01 s.
 */
const CLOCK_SLACK = 1;

/** State of one boot. */
class Boot {
  readonly categories = new CategoryGrowth();
  readonly devices = new DeviceGrowth();
  gaps: WatchJson['gaps'] = { count: 0, seconds: 0, longestSeconds: 0 };
  lost = 0;
  withoutLedger: WatchFacts['withoutLedger'] = { count: 0, why: null };
  hidden = false;
  /**
   * Samples between which the wall clock and the uptime advanced differently, and the sum of the differences
   * in seconds.
   */
  clockSteps = { count: 0, seconds: 0 };
  last: { readonly at: number; readonly uptime: number; readonly interval: number } | undefined;

  constructor(readonly from: string) {}

  follow({ look: { machine }, ledger, devices, noCategories, hidden, interval, lost }: WatchSample): void {
    const [at, uptime] = [Date.parse(machine.at), machine.uptimeSeconds];
    const before = this.last;
    this.last = { at, uptime, interval };
    const wall = before ? (at - before.at) / 1000 : 0;
    const step = before ? Math.abs(wall - (uptime - before.uptime)) : 0;
    if (step > CLOCK_SLACK) {
      const { count, seconds } = this.clockSteps;
      this.clockSteps = { count: count + 1, seconds: seconds + step };
    }
    const usual = Math.max(interval, before?.interval ?? 0);
    const late = before ? uptime - before.uptime : 0;
    if (late > LATE * usual) {
      const { count, seconds, longestSeconds } = this.gaps;
      const gap = late - usual;
      this.gaps = { count: count + 1, seconds: seconds + gap, longestSeconds: Math.max(longestSeconds, gap) };
    }
    this.lost += lost;
    this.hidden = hidden;
    if (devices) this.devices.add(devices, uptime);
    if (ledger) this.categories.add(ledger, uptime, machine.memTotalBytes);
    else this.withoutLedger = { count: this.withoutLedger.count + 1, why: noCategories };
  }
}

/** Follows the categories and processes of a machine over days, in limited memory. */
export class WatchGrowth {
  readonly #processes = new ProcessGrowth<DaySeries>('last', DAY_HISTORY);
  #boot: Boot | undefined;
  #bootId: string | null = null;
  #earlier: EarlierBoot[] = [];

  /** @returns `mixed` if the sample is of an earlier boot or another machine; it is not added */
  add(sample: WatchSample): 'taken' | 'not-later' | 'mixed' {
    const { machine } = sample.look;
    const ended = this.#boot && machine.bootId !== this.#bootId ? this.#ended(this.#boot) : undefined;
    const added = this.#processes.add(sample.look);
    if (added !== 'taken') return added;
    if (ended) this.#earlier = [...this.#earlier, ended].slice(-MAX_EARLIER);
    if (ended || !this.#boot) this.#boot = new Boot(machine.at);
    this.#bootId = machine.bootId;
    this.#boot.follow(sample);
    return 'taken';
  }

  /** @returns undefined if there was no sample */
  answer(): WatchAnswer | undefined {
    const facts = this.#boot && this.#facts(this.#boot);
    return facts && { ...facts, ...judge(facts), earlierBoots: this.#earlier };
  }

  #facts({ from, categories, devices, gaps, lost, withoutLedger, hidden, clockSteps }: Boot): WatchFacts | undefined {
    const growth = this.#processes.answer();
    if (!growth) return undefined;
    return {
      growth,
      from,
      seconds: growth.seconds,
      gaps,
      lostSamples: lost,
      withoutLedger,
      hidden,
      clockSteps,
      source: categories.source ?? null,
      sourceChanges: categories.sourceChanges,
      sumChanges: categories.sumChanges,
      categories: categories.categories(),
      groups: categories.groups(),
      devices: devices.devices(),
      unreadDevices: devices.unread,
    };
  }

  #ended(boot: Boot): EarlierBoot | undefined {
    const facts = this.#facts(boot);
    if (!facts) return undefined;
    const { growth, from, seconds, categories } = facts;
    return {
      bootId: growth.machine.bootId,
      from,
      to: growth.machine.at,
      samples: growth.samples,
      seconds,
      verdict: judge(facts).verdict,
      growing: categories
        .filter(({ course, group, reclaimable }) => course === 'grows' && group !== 'free' && !reclaimable)
        .map(({ points: _, ...category }) => category),
    };
  }
}

/** Doubts that rule out `nothing-grows`. */
const SPOILS: ReadonlySet<WatchDoubtCode> = new Set([
  'too-short',
  'gaps',
  'no-categories',
  'sum-changed',
  'may-grow',
  'available-falls',
  'clock',
]);

/** Maximum share of the time without samples, or with clocks that disagree. */
const MAX_GAPS = 0.1;

/** Growth that uses up MemAvailable in less than a month matters. */
const MONTH = 30 * DAY;

function judge(facts: WatchFacts): Judgement {
  const { growth, categories, gaps, lostSamples, sourceChanges, withoutLedger, hidden } = facts;
  const doubts: WatchDoubt[] = [];
  const judged = categories.filter(({ group, reclaimable }) => group !== 'free' && !reclaimable);
  // A category that was absent, or whose source changed, was followed only for a part of the time.
  const seconds = Math.min(facts.seconds, ...judged.flatMap((category) => category.growth?.seconds ?? []));
  if (seconds < MIN_SECONDS) doubts.push({ code: 'too-short', seconds });
  if (gaps.seconds > MAX_GAPS * facts.seconds) doubts.push({ code: 'gaps', count: gaps.count, seconds: gaps.seconds });
  if (lostSamples > 0) doubts.push({ code: 'lost-samples', count: lostSamples });
  if (withoutLedger.count > MAX_GAPS * growth.samples || categories.length === 0)
    doubts.push({ code: 'no-categories', count: withoutLedger.count, why: withoutLedger.why ?? '' });
  if (sourceChanges > 0) doubts.push({ code: 'source-changed', count: sourceChanges });
  if (facts.sumChanges > 0) doubts.push({ code: 'sum-changed', count: facts.sumChanges });
  if (growth.boots > 1) doubts.push({ code: 'rebooted', count: growth.boots - 1 });
  const outOfOrder = growth.notLater + growth.restartedSeries;
  const { clockSteps } = facts;
  if (clockSteps.seconds > MAX_GAPS * facts.seconds)
    doubts.push({ code: 'clock', count: outOfOrder + clockSteps.count, seconds: clockSteps.seconds });
  else if (outOfOrder > 0) doubts.push({ code: 'clock', count: outOfOrder });
  if (hidden) doubts.push({ code: 'hidden' });
  const grows = [...judged, ...growth.processes].some(({ course }) => course === 'grows');
  const highs = judged.map((category) => category.growth?.high ?? null);
  const known = highs.length > 0 && !highs.includes(null);
  const atMostPerSecond = known ? Math.max(0, ...highs.map((high) => high ?? 0)) : null;
  if (!grows && facts.seconds >= MIN_SECONDS) doubts.push(...mayGrow(facts, judged));
  const spoilt = doubts.some(({ code }) => SPOILS.has(code));
  const verdict = grows ? 'grows' : spoilt || !known ? 'inconclusive' : 'nothing-grows';
  return { verdict, doubts, atMostPerSecond };
}

/** The largest growth that cannot be excluded, and contradictions to "nothing grows". */
function mayGrow({ growth }: WatchFacts, judged: readonly GrownCategory[]): WatchDoubt[] {
  const { memAvailableBytes: available, memTotalBytes: total } = growth.machine;
  const room = available ?? (total ?? 0) / 10;
  const high = (category: GrownCategory) => category.growth?.high ?? Number.POSITIVE_INFINITY;
  const worst = judged.filter((category) => high(category) * MONTH > room);
  const [category] = worst.sort((a, b) => high(b) - high(a));
  return [
    ...(category ? [{ code: 'may-grow' as const, count: worst.length, category }] : []),
    ...(growth.loss.memAvailableCourse === 'shrinks' ? [{ code: 'available-falls' as const }] : []),
  ];
}

/**
 * A sample contains this many of the largest processes. Those of the previous sample stay, up to twice as
 * many.
 */
export const MAX_PROCESSES = 50;

export interface ProcessSelection {
  readonly processes: readonly ProcessSample[];
  readonly others: OtherProcesses;
  /** Number of processes of the previous sample that still exist, but are no longer included. */
  readonly droppedProcesses: number;
}

/**
 * Chooses the processes of a sample, so that its line is short and processes of the previous one are still
 * followed.
 *
 * @param before keys of those in the previous sample
 */
export function choose(all: readonly ProcessSample[], before: ReadonlySet<string>): ProcessSelection {
  const sorted = [...all].sort((a, b) => (b.heldBytes ?? -1) - (a.heldBytes ?? -1));
  const largest = sorted.slice(0, MAX_PROCESSES);
  const followed = sorted.slice(MAX_PROCESSES).filter((sample) => before.has(keyOf(sample)));
  const processes = [...largest, ...followed.slice(0, MAX_PROCESSES)];
  const chosen = new Set(processes);
  let [taken, seen, known] = [0, 0, true];
  for (const sample of all) {
    if (chosen.has(sample)) continue;
    taken += sample.takenBytes ?? 0;
    known &&= sample.takenBytes !== null;
    if (sample.heldBy === 'pss') seen += sample.takenBytes ?? 0;
  }
  return {
    processes,
    others: { processes: all.length - processes.length, takenBytes: known ? taken : null, seenBytes: seen },
    droppedProcesses: Math.max(0, followed.length - MAX_PROCESSES),
  };
}
