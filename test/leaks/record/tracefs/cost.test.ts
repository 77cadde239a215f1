import { describe, expect, test } from 'vitest';
import { affordable, type EventRates, filteredShare, shareOf } from '../../../../src/leaks/record/tracefs/cost.js';

const LOW_BIT = 3;

function ratesOf(perSecond: number, orders: readonly number[] = [1]): EventRates {
  return { allocations: { perSecond, orders }, frees: { perSecond, orders }, markerSeconds: 1.5e-6 };
}

describe('the cost limit of a recording', () => {
  test('allows complete recording on an idle machine', () => {
    expect(affordable(ratesOf(100), 0.02, LOW_BIT).oneIn).toBe(1);
  });

  test('reduces the sample for more events and for a lower limit', () => {
    const of = (perSecond: number, budget: number) => affordable(ratesOf(perSecond), budget, LOW_BIT).oneIn;
    expect(of(20_000, 0.02)).toBeGreaterThan(of(2000, 0.02));
    expect(of(20_000, 0.02)).toBeGreaterThan(of(20_000, 0.2));
    for (const perSecond of [1000, 5000, 20_000]) {
      const oneIn = of(perSecond, 0.02);
      expect(shareOf(ratesOf(perSecond), oneIn, LOW_BIT)).toBeLessThan(0.02);
      if (oneIn > 1) expect(shareOf(ratesOf(perSecond), oneIn / 4, LOW_BIT)).toBeGreaterThan(0.014);
    }
  });

  test('refuses a rate at which even dropped events exceed it, and suggests a value', () => {
    const ask = () => affordable(ratesOf(1_000_000), 0.02, LOW_BIT);
    expect(ask).toThrow(
      expect.objectContaining({
        code: 'trace-over-budget',
        message: expect.stringMatching(
          /^2000000 events per second would cost \d\d\.\d % of a CPU even with --sample 1\/4096 \(allowed: 2\.0 %\)$/,
        ),
        next: expect.stringMatching(/--budget \d\d%/),
      }),
    );
    const [, percent = ''] = /--budget (\d+)%/.exec(nextOf(ask)) ?? [];
    expect(affordable(ratesOf(1_000_000), Number(percent) / 100, LOW_BIT).oneIn).toBe(4096);
  });

  test('reduces the sample on a slower machine', () => {
    const slow = { ...ratesOf(2000), markerSeconds: 30e-6 };
    expect(affordable(slow, 0.3, LOW_BIT).oneIn).toBeGreaterThan(affordable(ratesOf(2000), 0.3, LOW_BIT).oneIn);
  });

  test('accounts for large blocks, of which more pass the filter', () => {
    expect(filteredShare(ratesOf(100), 64, LOW_BIT)).toBeCloseTo(1 / 64);
    const large = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    expect(filteredShare(ratesOf(100, large), 64, LOW_BIT)).toBe(1);
    expect(filteredShare(ratesOf(100, [0, 0, 0, 0, 0, 1]), 64, LOW_BIT)).toBeCloseTo(1 / 16);
  });
});

function nextOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as { next?: string }).next ?? '';
  }
  return '';
}
