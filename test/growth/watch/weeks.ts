import type { WatchAnswer } from '../../../src/growth/watch/answer.js';
import { WatchGrowth } from '../../../src/growth/watch/watch.js';
import { DAY, INTERVAL, MB, type WeekOptions, week } from './made-up-weeks.js';

/** Interval of the judgments from the second day on, as by a user who queries repeatedly. */
export function* judged(options: WeekOptions, every: number): Generator<WatchAnswer> {
  const growth = new WatchGrowth();
  let time = 0;
  for (const sample of week(options)) {
    growth.add(sample);
    if (time >= 2 * DAY && time % every === 0) {
      const answer = growth.answer();
      if (answer) yield answer;
    }
    time += INTERVAL;
  }
}

/** Whether a leak of this many MB per minute is named in its place, and with its rate in the interval. */
export function named(
  { categories, verdict, growth }: WatchAnswer,
  { leak = 0, leaks = 'slab-unreclaimable' }: WeekOptions,
): { readonly where: boolean; readonly rate: boolean } {
  const found = categories.find(({ category }) => category === leaks);
  const process = growth.processes.find(({ comm }) => comm === 'web');
  const trends = leaks === 'anonymous' ? [found, process] : [found];
  const rate = (leak * MB) / 60;
  return {
    where: verdict === 'grows' && trends.every((trend) => trend?.course === 'grows'),
    rate: trends.every((trend) => !!trend?.growth && trend.growth.low <= rate && rate <= trend.growth.high),
  };
}
