import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Series } from '../../src/growth/series.js';
import { MIN_POINTS, type Trend, trendOf } from '../../src/growth/trend.js';
import { alike, chance, noise, type Signal, sampled, sawtooth } from './made-up.js';

const trendIn = (series: Series): Trend => {
  const trend = trendOf(series);
  if (!trend) throw new Error('no trend is told');
  return trend;
};

const holds = ({ growth }: Trend, rate: number) => growth.low <= rate && rate <= growth.high;

/** Share of many series with different noise for which this holds. */
function part(many: number, of: (seed: number) => boolean): number {
  let found = 0;
  for (let seed = 1; seed <= many; seed++) if (of(seed)) found++;
  return found / many;
}

test('has the slope of a straight line', () => {
  for (const perSecond of [-3, 0, 7]) {
    const { growth, course } = trendIn(sampled(40, () => 100, { perSecond, interval: 0.25 }));
    expect(growth.perSecond).toBeCloseTo(perSecond, 12);
    expect(growth.low).toBeCloseTo(perSecond, 9);
    expect(growth.high).toBeCloseTo(perSecond, 9);
    expect(growth).toMatchObject({ confidence: 0.99, samples: 40, seconds: 9.75 });
    expect(course).toBe({ [-3]: 'shrinks', 0: 'steady', 7: 'grows' }[perSecond]);
  }
});

test('is null for too few samples', () => {
  for (let count = 0; count < MIN_POINTS; count++)
    expect(trendOf(sampled(count, () => 0, { perSecond: 1 }))).toBeNull();
  expect(trendOf(sampled(MIN_POINTS, () => 0, { perSecond: 1 }))).not.toBeNull();
});

test('reports continued growth only if the second half has enough samples, too', () => {
  expect(trendIn(sampled(2 * MIN_POINTS - 2, () => 0, { perSecond: 1 })).course).toBe('grew');
  expect(trendIn(sampled(2 * MIN_POINTS - 1, () => 0, { perSecond: 1 })).course).toBe('grows');
});

const NOISES: Readonly<Record<string, (seed: number) => Signal>> = {
  'noise of its own': noise,
  'noise that is alike by a half': (seed) => alike(0.5, seed),
  'noise that is alike by 0.9': (seed) => alike(0.9, seed),
  'a random walk': (seed) => alike(1, seed),
  'a sawtooth': (seed) => sawtooth(10, 20, seed),
  'outliers, one in twenty': (seed) => {
    const [next, rare] = [noise(seed), chance(seed + 5000)];
    return () => next() * (rare() < 0.05 ? 100 : 1);
  },
};

describe.each(Object.entries(NOISES))('%s', (_, signalOf) => {
  // If the noise outlasts the span of a point, adjacent points are merged.
  test.each([12, 30, 63, 400])('%i samples: the interval contains the rate as often as it states', (count) => {
    const many = count > 100 ? 150 : 400;
    const inside = part(many, (seed) => holds(trendIn(sampled(count, signalOf(seed), { perSecond: 0.3 })), 0.3));
    // By chance, three deviations of a share of 0.99 are 0.015 for 400, and 0.024 for 150.
    expect(inside).toBeGreaterThanOrEqual(0.96);
  });

  test('hardly ever reports growth without a trend', () => {
    for (const count of [16, 63, 300])
      expect(part(250, (seed) => trendIn(sampled(count, signalOf(seed))).course === 'grows')).toBeLessThanOrEqual(
        0.012,
      );
  });

  test('names a leak below it, with its rate, once there are enough samples', () => {
    const perSecond = 1;
    const found = trendIn(sampled(2000, signalOf(7), { perSecond }));
    expect(found.course).toBe('grows');
    expect(holds(found, perSecond)).toBe(true);
    expect(Math.abs(found.growth.perSecond - perSecond)).toBeLessThan(0.1);
  });
});

test('has a wide enough interval for means of a random walk', () => {
  const of = (seed: number) => holds(trendIn(sampled(1000, alike(1, seed))), 0);
  expect(part(600, of)).toBeGreaterThanOrEqual(0.98);
});

test('has no unnecessarily wide interval for independent noise', () => {
  // Least squares for 63 such points: 2.58 deviations of sqrt(12 / 63^3) on both sides.
  const least = 2 * 2.58 * Math.sqrt(12 / 63 ** 3);
  const widths = [...new Array(100).keys()].map((seed) => {
    const { growth } = trendIn(sampled(63, noise(seed + 1)));
    return growth.high - growth.low;
  });
  expect(widths.toSorted((a, b) => a - b)[50]).toBeLessThan(1.35 * least);
});

describe('growth that has stopped', () => {
  const is = (signal: (seed: number) => (at: number) => number, count = 120) =>
    part(100, (seed) => {
      const { course } = trendIn(sampled(count, signal(seed)));
      return course === 'grows';
    });

  test.each([0.1, 0.3, 0.5, 0.7, 0.9])('is not reported as continued after a step at %d of the time', (after) => {
    const step = (seed: number) => {
      const next = noise(seed);
      return (at: number) => next() + (at < after * 120 ? 0 : 1000);
    };
    expect(is(step)).toBeLessThanOrEqual(0.01);
    expect(is((seed) => (at) => step(seed)(at) - noise(seed)())).toBe(0);
  });

  test.each([0.2, 0.4])('is not reported as continued for a cache that is full after %d of the time', (after) => {
    const filled = (seed: number) => {
      const next = noise(seed);
      return (at: number) => next() + 5 * Math.min(at, after * 120);
    };
    expect(is(filled)).toBeLessThanOrEqual(0.01);
    expect(trendIn(sampled(120, (at) => 5 * Math.min(at, after * 120))).course).not.toBe('grows');
  });
});

describe('a daily rhythm over two days and more, with a sample per minute', () => {
  const DAY = 24 * 60;

  /** The minute of the first report of growth; undefined if there is none in the whole week. */
  function firstAlarm(seed: number, leak: number): number | undefined {
    const [next, phase] = [noise(seed), 2 * Math.PI * chance(seed + 900)()];
    const series = sampled(0, () => 0);
    for (let at = 0; at < 7 * DAY; at++) {
      const daily = 200 * Math.sin((2 * Math.PI * at) / DAY + phase);
      series.add(60 * at, daily + 10 * next() + leak * at);
      if (at > 2 * DAY && at % 180 === 0 && trendIn(series).course === 'grows') return at;
    }
    return undefined;
  }

  test('is not growth', () => {
    expect(part(40, (seed) => firstAlarm(seed, 0) !== undefined)).toBe(0);
  });

  test('does not hide a small leak beyond the third day', () => {
    expect(part(40, (seed) => (firstAlarm(seed, 1) ?? Number.NaN) < 3 * DAY)).toBe(1);
  });
});

test('is not changed by gaps between samples, as from skipped cron jobs', () => {
  const next = noise(3);
  const kept = chance(9);
  const inside = part(200, (seed) => {
    const own = alike(1, seed);
    const series = sampled(0, () => 0);
    for (let at = 0; at < 200; at++) {
      const value = own() + next() + 0.3 * at;
      if (kept() < 0.3) series.add(at, value);
    }
    return holds(trendIn(series), 0.3);
  });
  expect(inside).toBeGreaterThanOrEqual(0.955);
});

test('keeps the rate in its interval, and the order of rates, for any input', () => {
  const value = fc.integer({ min: -1e12, max: 1e12 });
  fc.assert(
    fc.property(fc.array(value, { minLength: MIN_POINTS, maxLength: 150 }), (values) => {
      const of = (sign: number) => trendIn(sampled(values.length, (at) => sign * (values[at] ?? 0)));
      const [one, other] = [of(1).growth, of(-1).growth];
      expect(one.low).toBeLessThanOrEqual(one.perSecond);
      expect(one.perSecond).toBeLessThanOrEqual(one.high);
      // The negated series has the negated trend.
      const size = Math.max(...values.map(Math.abs), 1);
      expect(Math.abs(one.low + other.high) / size).toBeLessThan(1e-9);
      expect(Math.abs(one.perSecond + other.perSecond) / size).toBeLessThan(1e-9);
    }),
  );
});
