import { expect, test } from 'vitest';
import { callTree } from '../../../src/answers/stacks/tree.js';
import type { Frame, StackSum } from '../../../src/contracts/stacks.js';

const none = { faults: 0, bytes: 0 };
const sum = (frames: readonly Frame[], bytes: number): StackSum => ({
  frames,
  newBytes: bytes,
  anonymous: { faults: 1, bytes },
  shared: none,
  hugetlb: none,
});

test('with tens of thousands of stacks, resolves only the branches that it shows', () => {
  let named = 0;
  const frame = (symbol: string): Frame => ({
    get symbol() {
      named++;
      return symbol;
    },
    module: '/bin/x',
    offset: null,
    guess: false,
  });
  const [start, main, hot] = [frame('_start'), frame('main'), frame('hot')];
  const COUNT = 30_000;
  const DEEP = 30;
  const many = Array.from({ length: COUNT }, (_, index) => {
    const own = Array.from({ length: DEEP }, (_, level) => frame(`f${index}.${level}`));
    return sum([...own, main, start], 4096);
  });
  const lines = callTree([...many, sum([hot, main, start], COUNT * 4096)], 40);
  expect(lines).toEqual([
    { depth: 0, names: ['_start', 'main'], bytes: 2 * COUNT * 4096 },
    { depth: 1, names: ['hot'], bytes: COUNT * 4096 },
  ]);
  // Two functions that all stacks share, and the one of each stack alone.
  expect(named).toBeLessThan(4 * COUNT);
});

test('handles a function with more callees than a call can take arguments', () => {
  const frame = (symbol: string): Frame => ({ symbol, module: '/bin/x', offset: null, guess: false });
  const main = frame('main');
  const many = Array.from({ length: 300_000 }, (_, index) => sum([frame(`f${index}`), main], 4096));
  expect(callTree(many, 4)).toEqual([{ depth: 0, names: ['main'], bytes: 300_000 * 4096 }]);
});
