import { expect, test } from 'vitest';
import { Pacing } from '../../../../src/leaks/record/tracefs/cost.js';

const RATES = {
  allocations: { perSecond: 10_000, orders: [1] },
  frees: { perSecond: 10_000, orders: [1] },
  markerSeconds: 1.5e-6,
};
const ORDER = { sample: 'auto', budget: 0.02, maxBlocks: 1000 } as const;
const dear = { share: 0.09, perSecond: 10_000, kept: 10 };
const cheap = { share: 0.01, perSecond: 1000, kept: 10 };

test('reduces the sample in proportion if the cost exceeds the limit repeatedly', () => {
  const pacing = new Pacing(ORDER, RATES);
  const costs = [dear, dear, dear, cheap, dear, cheap, dear, dear];
  expect(costs.map((one) => pacing.halvings(one))).toEqual([0, 0, 3, 0, 0, 0, 0, 3]);
});

test('does not reduce a requested sample because of its cost', () => {
  const pacing = new Pacing({ ...ORDER, sample: 16 }, RATES);
  expect([dear, dear, dear, dear].map((one) => pacing.halvings(one))).toEqual([0, 0, 0, 0]);
});

test('does not reduce the sample for a cost that events do not cause', () => {
  const pacing = new Pacing(ORDER, RATES);
  const idle = { ...dear, perSecond: 10 };
  expect([idle, idle, idle, idle].map((one) => pacing.halvings(one))).toEqual([0, 0, 0, 0]);
});

test('reduces even a requested sample before memory is full', () => {
  const pacing = new Pacing({ ...ORDER, sample: 1 }, RATES);
  expect(pacing.halvings({ ...cheap, kept: 790 })).toBe(0);
  expect(pacing.halvings({ ...cheap, kept: 810 })).toBe(1);
});
