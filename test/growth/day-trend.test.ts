import { describe, expect, test } from 'vitest';
import { DAY, DaySeries, dayTrendOf, MIN_RATE_SECONDS, MIN_SECONDS } from '../../src/growth/day-trend.js';
import { CONFIDENCE, type Trend } from '../../src/growth/trend.js';
import { noise } from './made-up.js';

const INTERVAL = 600;

function over(days: number, curve: (time: number) => number): Trend {
  const series = new DaySeries();
  for (let time = 0; time <= days * DAY; time += INTERVAL) series.add(1e6 + time, curve(time));
  const trend = dayTrendOf(series);
  if (!trend) throw new Error('no trend is told');
  return trend;
}

const wave = (time: number) => 200 * Math.sin((2 * Math.PI * time) / DAY);

test('ignores a daily rhythm, and detects growth below it', () => {
  for (const days of [2, 3, 7, 12, 30, 100]) {
    expect(over(days, wave).course).toBe('steady');
    const { growth, course } = over(days, (time) => wave(time) + time / 100);
    expect(course).toBe('grows');
    expect(growth.perSecond).toBeCloseTo(0.01, 3);
    expect(growth.low).toBeLessThanOrEqual(0.01 + 1e-9);
    expect(growth.high).toBeGreaterThanOrEqual(0.01 - 1e-9);
    expect(growth.confidence).toBe(CONFIDENCE);
    expect(growth.seconds).toBe(days * DAY);
  }
});

test('has a daily rate only after an hour', () => {
  const of = (seconds: number) => {
    const series = new DaySeries();
    for (let time = 0; time <= seconds; time += seconds / 8) series.add(1e6 + time, -1e9 * time);
    return dayTrendOf(series);
  };
  expect(of(8)).toBeNull();
  expect(of(MIN_RATE_SECONDS - 8)).toBeNull();
  expect(of(MIN_RATE_SECONDS)).toMatchObject({ course: 'shrank' });
});

test('does not report continued growth in less than two days', () => {
  const rising = (time: number) => time;
  expect(over(MIN_SECONDS / DAY - 0.01, rising).course).toBe('grew');
  expect(over(MIN_SECONDS / DAY - 0.01, (time) => -time).course).toBe('shrank');
  expect(over(MIN_SECONDS / DAY, rising).course).toBe('grows');
  // The rising half of a wave.
  expect(over(0.4, (time) => -200 * Math.cos((2 * Math.PI * time) / DAY)).course).toBe('grew');
});

describe('growth that has stopped', () => {
  test.each([0.1, 0.3, 0.5, 0.7])('is not reported as continued after a step at %d of a week', (after) => {
    for (let seed = 1; seed <= 5; seed++) {
      const quiet = noise(seed);
      const step = (time: number) => wave(time) + 10 * quiet() + (time < after * 7 * DAY ? 0 : 1000);
      expect(over(7, step).course).not.toBe('grows');
    }
  });

  test('is not reported as continued for a cache that is full after three days', () => {
    const quiet = noise(3);
    const filled = (time: number) => wave(time) + quiet() + Math.min(time, 3 * DAY) / 100;
    expect(over(7, filled).course).not.toBe('grows');
  });
});

test('reports a constant value as steady', () => {
  expect(over(3, () => 7)).toMatchObject({ course: 'steady', growth: { perSecond: 0, low: 0, high: 0 } });
});

test('is not misled by missing hours, the same each day or for a day', () => {
  for (const missing of [(time: number) => time % DAY < 6 * 3600, (time: number) => time > 2 * DAY && time < 3 * DAY]) {
    const series = new DaySeries();
    for (let time = 0; time <= 5 * DAY; time += INTERVAL) if (!missing(time)) series.add(time, wave(time));
    expect(dayTrendOf(series)?.course).toBe('steady');
  }
});
