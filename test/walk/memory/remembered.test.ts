import { expect, test } from 'vitest';
import { cachedWalk } from '../../../src/walk/memory/vm-areas.js';

/** The values before the failure, and the failure. */
function valuesOf(walk: () => Iterable<number>): (number | string)[] {
  const found: (number | string)[] = [];
  try {
    for (const one of walk()) found.push(one);
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

test('walks once, and repeats the values and the failure for each caller', () => {
  let steps = 0;
  const walk = cachedWalk(function* () {
    for (const one of [1, 2, 3]) {
      steps++;
      yield one;
    }
    throw new Error('torn');
  });
  expect(valuesOf(walk)).toEqual([1, 2, 3, 'torn']);
  expect(valuesOf(walk)).toEqual([1, 2, 3, 'torn']);
  expect(steps).toBe(3);
});

test('returns the same values to two concurrent callers', () => {
  const walk = cachedWalk(() => [1, 2, 3]);
  const [one, other] = [walk(), walk()];
  expect([one.next().value, other.next().value, other.next().value, one.next().value]).toEqual([1, 1, 2, 2]);
  expect([...one, ...other]).toEqual([3, 3]);
});
