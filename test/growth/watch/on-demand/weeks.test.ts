import { afterAll, describe, expect, test } from 'vitest';
import { DAY, RHYTHMS } from '../made-up-weeks.js';
import { judged, named } from '../weeks.js';

/** Number of weeks for each of ten rhythms: a thousand in all. */
const SEEDS = Array.from({ length: 100 }, (_, index) => 1000 + index);
const figures: string[] = [];
afterAll(() => process.stdout.write(`${figures.join('\n')}\n`));

describe('a thousand quiet weeks, judged every six hours from the second day on', () => {
  let [alarmed, known] = [0, 0];

  test.each(Object.entries(RHYTHMS))('%s', (name, rhythm) => {
    let [alarms, clear] = [0, 0];
    for (const seed of SEEDS) {
      const verdicts = [...judged({ rhythm, seed }, DAY / 4)].map(({ verdict }) => verdict);
      expect(verdicts).toHaveLength(21);
      if (verdicts.includes('grows')) alarms++;
      if (verdicts.at(-1) === 'nothing-grows') clear++;
    }
    alarmed += alarms;
    known += clear;
    figures.push(`quiet, ${name}: ${alarms} of 100 weeks raise an alarm, ${clear} end as quiet`);
    // One kind of noise alone: no more than the one in a hundred that chance causes.
    expect(alarms).toBeLessThanOrEqual(4);
  });

  test('raise an alarm in at most one week of a hundred, at any time', () => {
    expect(alarmed).toBeLessThanOrEqual(10);
    expect(known).toBeGreaterThan(950);
  });
});

describe('a leak of 1 MB per minute in these weeks', () => {
  let [all, rates] = [0, 0];

  test.each(Object.entries(RHYTHMS))('%s: is named within three days', (name, rhythm) => {
    let [inside, found] = [0, 0];
    for (const seed of SEEDS) {
      const leaks = seed % 2 === 0 ? 'anonymous' : 'slab-unreclaimable';
      const options = { rhythm, seed, leak: 1, leaks, days: 3 } as const;
      const answers = [...judged(options, DAY / 4)].map((answer) => named(answer, options));
      const first = answers.find(({ where }) => where);
      if (first) found++;
      if (first?.rate) inside++;
    }
    all += found;
    rates += inside;
    figures.push(`leak, ${name}: ${found} of 100 are named, ${inside} with its rate in the interval`);
    expect(found).toBe(100);
  });

  test('has its rate in the interval as often as that states', () => {
    // Half of them have two figures, each with a confidence of 0.99.
    expect(rates / all).toBeGreaterThanOrEqual(0.97);
  });
});
