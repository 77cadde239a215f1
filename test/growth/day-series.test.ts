import { expect, test } from 'vitest';
import { DAY, DaySeries } from '../../src/growth/day-trend.js';

const of = (count: number, interval: number, begun = 0) => {
  const series = new DaySeries();
  for (let at = 0; at < count; at++) series.add(begun + at * interval, 3 * at);
  return series;
};

test('refuses a sample that is not later than the preceding one', () => {
  const series = new DaySeries();
  expect([5, 6, 6, 4, 7].map((time) => series.add(time, time))).toEqual([true, true, false, false, true]);
  expect([series.samples, series.seconds, series.last]).toEqual([3, 2, { time: 7, value: 7 }]);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses %d as a sample', (value) => {
  expect(() => new DaySeries().add(1, value)).toThrow(TypeError);
  expect(() => new DaySeries().add(value, 1)).toThrow(TypeError);
});

test('keeps few pieces from first to last sample, each with the mean of its samples', () => {
  for (const [count, interval] of [
    [100, 1],
    [5000, 60],
    [100_000, 60],
    [100_000, 3600],
  ] as const) {
    const series = of(count, interval, 12_345);
    const { times, values } = series.points();
    expect(times.length).toBeLessThanOrEqual(192);
    expect(times.length).toBeGreaterThan(60);
    expect(times[0]).toBeLessThan(12_345 + series.width);
    expect(times.at(-1)).toBeGreaterThan(12_345 + (count - 1) * interval - series.width);
    // A straight line stays one, whatever samples each piece contains.
    for (const [at, time] of times.entries()) expect(values[at]).toBeCloseTo((3 * (time - 12_345)) / interval, 3);
  }
});

test('aligns the pieces of two days to the same hours', () => {
  const series = of(10 * 1440, 60, 5 * 3600 + 17);
  expect(DAY % series.width).toBe(0);
  for (const width of [3600, 7200, 14_400, 28_800]) {
    const { times } = series.points(Math.max(width, series.width));
    const wide = Math.max(width, series.width);
    const starts = new Set([...times].map((time) => Math.floor(time / wide) * wide));
    expect(starts.size).toBe(times.length);
  }
});

test('has no piece for a time without samples', () => {
  const series = new DaySeries();
  for (let hour = 0; hour < 100; hour++) if (hour < 20 || hour > 60) series.add(3600 * hour, hour);
  const { times } = series.points(3600);
  expect(times.length).toBe(59);
});
