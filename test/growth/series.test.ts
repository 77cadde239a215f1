import { expect, test } from 'vitest';
import { Series } from '../../src/growth/series.js';
import { sampled } from './made-up.js';

test('refuses a sample that is not later than the preceding one', () => {
  const series = new Series();
  expect([5, 6, 6, 4, 7].map((time) => series.add(time, time))).toEqual([true, true, false, false, true]);
  expect([series.samples, series.seconds, series.last]).toEqual([3, 2, { time: 7, value: 7 }]);
  expect([...series.points().times]).toEqual([5, 6, 7]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses %d as a sample', (value) => {
  expect(() => new Series().add(1, value)).toThrow(TypeError);
  expect(() => new Series().add(value, 1)).toThrow(TypeError);
});

test('keeps few points, each the mean of equally many samples', () => {
  for (const count of [63, 64, 65, 1000, 100_000]) {
    const series = sampled(count, (at) => 3 * at);
    const { times, values } = series.points();
    expect(times.length).toBeLessThan(64);
    expect(times.length).toBeGreaterThanOrEqual(Math.min(count, 32));
    expect(series.samples).toBe(count);
    const each = 2 * (times[0] ?? 0) + 1;
    expect([...times]).toEqual([...times.keys()].map((at) => at * each + (each - 1) / 2));
    expect([...values]).toEqual([...times].map((time) => 3 * time));
    expect(times.length * each).toBeGreaterThan(count - each);
  }
});
