import { expect, test } from 'vitest';
import { DAY, RHYTHMS } from './made-up-weeks.js';
import { judged, named } from './weeks.js';

// A few; `scripts/test weeks` judges a thousand.
test.each(Object.entries(RHYTHMS))('raises no alarm in quiet weeks: %s', (_, rhythm) => {
  for (const seed of [1, 2]) {
    const verdicts = [...judged({ rhythm, seed }, 2.5 * DAY)].map(({ verdict }) => verdict);
    expect(verdicts).toHaveLength(2);
    expect(verdicts).not.toContain('grows');
    expect(verdicts.at(-1)).toBe('nothing-grows');
  }
});

test.each(['slab-unreclaimable', 'anonymous'] as const)(
  'names a leak of 1 MB per minute in %s within three days, with its rate in the interval',
  (leaks) => {
    for (const [rhythm, seed] of Object.values(RHYTHMS).map((one, at) => [one, at + 1] as const)) {
      const options = { rhythm, seed, leak: 1, leaks, days: 3 };
      const [answer] = [...judged(options, 3 * DAY)];
      expect(answer && named(answer, options), `${seed}`).toEqual({ where: true, rate: true });
    }
  },
);
