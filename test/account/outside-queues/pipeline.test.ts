import { expect, test } from 'vitest';
import { type AnyStep, type Known, runSteps } from '../../../src/account/outside-queues/pipeline.js';
import { Tally } from '../../../src/account/tally.js';
import { KernelError, ReadError } from '../../../src/base/errors.js';
import { Warnings } from '../../../src/walk/warnings.js';

const PAGE = 4096;

function tallyOf(frames: readonly number[]): Tally {
  const tally = new Tally(PAGE, new Warnings());
  for (const frame of frames) tally.page(frame, 0, 1, undefined);
  return tally;
}

/** A step that counts those of these page frames that no earlier step holds. */
function pools(frames: readonly number[]): AnyStep {
  return {
    code: 'page-pools',
    count(known) {
      const mine = frames.filter((frame) => !known.holdsPage(frame));
      const figures = { owned: frames.length, pages: mine.length };
      const [objects, bytes] = [mine.length, mine.length * PAGE];
      return { status: 'counted', objects, bytes, figures, holds: tallyOf(mine) };
    },
  };
}

const failing = (error: unknown): AnyStep => ({
  code: 'rings',
  of: 'tun',
  count() {
    throw error;
  },
});

function run(sockets: Tally, steps: readonly AnyStep[]) {
  return Array.from(runSteps(PAGE, sockets, steps), ({ row }) => row);
}

test('counts a page for its first holder: sockets, then rows in order', () => {
  const rows = run(tallyOf([1]), [pools([1, 2]), pools([2, 3, 4])]);
  expect(rows.map(({ bytes }) => bytes)).toEqual([PAGE, 2 * PAGE]);
  expect(rows.every(({ status, complete }) => status === 'counted' && complete)).toBe(true);
});

test('leaves the memory of sockets unchanged', () => {
  const sockets = tallyOf([1]);
  run(sockets, [pools([2, 3])]);
  expect(sockets.figures().pages).toBe(1);
});

test.each([
  new ReadError('filtered', 0x1000n),
  new KernelError('damaged', 'a ring has no struct page'),
  new KernelError('unsupported-layout', 'this kernel has no known skb cache'),
])('reports rows after an uncountable one as upper bounds: %s', (error) => {
  const [failed, after, none] = run(tallyOf([]), [failing(error), pools([5]), pools([5])]);
  expect(failed).toMatchObject({ status: 'not-counted', complete: false, reason: error.message, what: 'rings tun' });
  expect(failed?.message).toBe(`Rings of tun devices: not counted: ${error.message}.`);
  expect(after).toMatchObject({ status: 'at-most', objects: null, bytes: null, complete: false });
  expect(after?.status === 'at-most' && after.unknown).toEqual(['rings tun']);
  // Zero stays zero, whatever is unknown.
  expect(none).toMatchObject({ status: 'counted', objects: 0, complete: true });
});

test('reports rows as upper bounds if the sockets are incomplete', () => {
  const sockets = tallyOf([]);
  sockets.incomplete('unreadable', 'a queue');
  const [row] = run(sockets, [pools([5])]);
  expect(row?.status === 'at-most' && row.unknown).toEqual(['sockets']);
});

test('keeps rows after one that is not walked or contradicts itself', () => {
  const figures = { used: 1, reserve: 0, met: 2, left: -1, merged: false };
  const rows = run(tallyOf([]), [
    { code: 'rings', count: () => ({ status: 'not-walked' }) },
    { code: 'skbs', count: () => ({ status: 'contradicted', figures }) },
    pools([5]),
  ]);
  expect(rows.map(({ status, complete }) => [status, complete])).toEqual([
    ['not-walked', true],
    ['contradicted', false],
    ['counted', true],
  ]);
});

test('rethrows internal errors', () => {
  expect(() => run(tallyOf([]), [failing(new TypeError('of ours'))])).toThrow('of ours');
});

test('runs a step only after the result of the preceding one', () => {
  const seen: number[] = [];
  const noting = (step: AnyStep): AnyStep =>
    ({
      ...step,
      count(known: Known) {
        seen.push([...known.pages()].length);
        return step.count(known);
      },
    }) as AnyStep;
  const entries = runSteps(PAGE, tallyOf([1]), [noting(pools([2])), noting(pools([3]))]);
  entries.next();
  expect(seen).toEqual([1]);
  entries.next();
  expect(seen).toEqual([1, 2]);
});
