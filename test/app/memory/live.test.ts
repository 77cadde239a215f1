import { expect, test } from 'vitest';
import { settled } from '../../../src/app/memory/live.js';
import { answerOf } from '../../answers/memory/answer.js';

const freeConflict = { foundBy: 'pageflags', foundBytes: 1, countedBytes: 2 } as const;

test('samples contradictory free memory again, and reports it if it persists', async () => {
  let samples = 0;
  const from = (last: number) => async () => ({ ...answerOf({}), ...(++samples < last ? { freeConflict } : {}) });
  expect((await settled(from(2))).freeConflict).toBeNull();
  expect(samples).toBe(2);
  samples = 0;
  expect((await settled(from(9))).freeConflict).toEqual(freeConflict);
  expect(samples).toBe(3);
});
