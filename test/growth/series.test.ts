import { expect, test } from 'vitest';
import { Series } from '../../src/growth/series.js';
import { sampled } from './made-up.js';

test('a sample that is not later than the one before is not taken', () => {
  const series = new Series();
  expect([5, 6, 6, 4, 7].map((time) => series.add(time, time))).toEqual([
    ...[true, true, false, false, true],
  ]);
  expect([series.samples, series.seconds, series.last]).toEqual([3, 2, { time: 7, value: 7 }]);
  expect([...series.points().times]).toEqual([5, 6, 7]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d is no sample', (value) => {
  expect(() => new Series().add(1, value)).toThrow(TypeError);
  expect(() => new Series().add(value, 1)).toThrow(TypeError);
});

test('however many come, points are few, and means of as many each', () => {
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
