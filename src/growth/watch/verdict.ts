import { DAY } from '../day-series.js';
import { LEAST_SECONDS } from '../day-trend.js';
import type { WatchFacts } from './answer.js';
import type { Judgement, WatchDoubt, WatchDoubtCode } from './doubts.js';
import type { GrownDrawer } from './drawers.js';

/** With these it is not known that nothing grew. */
const SPOILS: ReadonlySet<WatchDoubtCode> = new Set([
  ...(['too-short', 'gaps', 'no-ledger', 'sum-changed'] as const),
  ...(['may-grow', 'available-falls', 'clock'] as const),
]);

/** Of the time, without samples or with clocks that disagree. */
const MOST_GAPS = 0.1;

/** What takes MemAvailable in less than a month matters. */
const MONTH = 30 * DAY;

export function judge(facts: WatchFacts): Judgement {
  const { growth, drawers, gaps, lost, sourceChanges, withoutLedger, hidden } = facts;
  const doubts: WatchDoubt[] = [];
  const judged = drawers.filter(({ group, reclaimable }) => group !== 'free' && !reclaimable);
  // Where another source told before, or nobody told of a drawer, it was followed for less than all of the time.
  const seconds = Math.min(
    facts.seconds,
    ...judged.flatMap(({ trend }) => trend?.growth.seconds ?? []),
  );
  if (seconds < LEAST_SECONDS) doubts.push({ code: 'too-short', seconds });
  if (gaps.seconds > MOST_GAPS * facts.seconds)
    doubts.push({ code: 'gaps', count: gaps.count, seconds: gaps.seconds });
  if (lost > 0) doubts.push({ code: 'lost-samples', count: lost });
  if (withoutLedger.count > MOST_GAPS * growth.samples || drawers.length === 0)
    doubts.push({ code: 'no-ledger', count: withoutLedger.count, why: withoutLedger.why ?? '' });
  if (sourceChanges > 0) doubts.push({ code: 'source-changed', count: sourceChanges });
  if (facts.sumChanges > 0) doubts.push({ code: 'sum-changed', count: facts.sumChanges });
  if (growth.boots > 1) doubts.push({ code: 'rebooted', count: growth.boots - 1 });
  const outOfOrder = growth.notLater + growth.begunAnew;
  const { clockSteps } = facts;
  if (clockSteps.seconds > MOST_GAPS * facts.seconds)
    doubts.push({
      ...{ code: 'clock', count: outOfOrder + clockSteps.count, seconds: clockSteps.seconds },
    });
  else if (outOfOrder > 0) doubts.push({ code: 'clock', count: outOfOrder });
  if (hidden) doubts.push({ code: 'hidden' });
  const grows =
    judged.some(({ trend }) => trend?.course === 'grows') ||
    growth.processes.some(({ trend }) => trend?.course === 'grows');
  const highs = judged.map(({ trend }) => trend?.growth.high ?? null);
  const known = highs.length > 0 && !highs.includes(null);
  const atMost = known ? Math.max(0, ...highs.map((high) => high ?? 0)) : null;
  if (!grows && facts.seconds >= LEAST_SECONDS) doubts.push(...mayGrow(facts, judged));
  const spoilt = doubts.some(({ code }) => SPOILS.has(code));
  const verdict = grows ? 'grows' : spoilt || !known ? 'not-known' : 'nothing-grows';
  return { verdict, doubts, atMost };
}

/** What cannot be ruled out, the most of it; and what contradicts that nothing grows. */
function mayGrow({ growth }: WatchFacts, judged: readonly GrownDrawer[]): WatchDoubt[] {
  const { available, total } = growth.machine;
  const room = available ?? (total ?? 0) / 10;
  const high = ({ trend }: GrownDrawer) => trend?.growth.high ?? Number.POSITIVE_INFINITY;
  const worst = judged.filter((drawer) => high(drawer) * MONTH > room);
  const [drawer] = worst.sort((a, b) => high(b) - high(a));
  return [
    ...(drawer ? [{ code: 'may-grow' as const, count: worst.length, drawer }] : []),
    ...(growth.loss.available?.course === 'shrinks' ? [{ code: 'available-falls' as const }] : []),
  ];
}
