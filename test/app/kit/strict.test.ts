import { afterEach, expect, test } from 'vitest';
import type { CensusAnswer } from '../../../src/account/sockets.js';
import { type AnswerOptions, answer } from '../../../src/app/kit/answer.js';
import { fixture } from '../../support/fixtures.js';

/** Completeness of the two parts of an answer of `sockets`. */
type Whole = readonly [total: boolean, complete: boolean];

afterEach(() => {
  process.exitCode = undefined;
});

test.each<[Whole, number | undefined]>([
  [[true, true], undefined],
  // A row outside queues was not counted.
  [[true, false], 5],
  [[false, false], 5],
])('--strict of an answer with a complete total and list of %j exits with %j', async ([total, complete], status) => {
  const found = { total: { complete: total }, complete, warnings: [] } as unknown as CensusAnswer;
  const question = { ask: () => found, toJson: () => ({}), toText: () => '' };
  await answer({ vmcore: [fixture('6.1').vmcore], strict: true } as unknown as AnswerOptions, question);
  expect(process.exitCode).toBe(status);
});
