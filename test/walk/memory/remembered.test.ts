import { expect, test } from 'vitest';
import { cachedWalk } from '../../../src/walk/memory/vm-areas.js';

/** What comes before the failure, and that. */
function told(walk: () => Iterable<number>): (number | string)[] {
  const found: (number | string)[] = [];
  try {
    for (const one of walk()) found.push(one);
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

test('a walk is gone once, and told as often as is asked, with its failure', () => {
  let steps = 0;
  const walk = cachedWalk(function* () {
    for (const one of [1, 2, 3]) {
      steps++;
      yield one;
    }
    throw new Error('torn');
  });
  expect(told(walk)).toEqual([1, 2, 3, 'torn']);
  expect(told(walk)).toEqual([1, 2, 3, 'torn']);
  expect(steps).toBe(3);
});

test('two who ask at a time are told the same', () => {
  const walk = cachedWalk(() => [1, 2, 3]);
  const [one, other] = [walk(), walk()];
  expect([one.next().value, other.next().value, other.next().value, one.next().value]).toEqual([
    1, 1, 2, 2,
  ]);
  expect([...one, ...other]).toEqual([3, 3]);
});
