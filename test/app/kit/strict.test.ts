import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { CensusAnswer } from '../../../src/account/sockets.js';
import { type AnswerOptions, answer } from '../../../src/app/kit/answer.js';
import { openSource } from '../../../src/app/kit/kernel-source.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { fixture } from '../../support/fixtures.js';

vi.mock('../../../src/app/kit/kernel-source.js', () => ({ openSource: vi.fn() }));

/** Completeness of the two parts of an answer of `sockets`. */
type Whole = readonly [total: boolean, complete: boolean];

beforeEach(() => {
  vi.mocked(openSource).mockImplementation(async () => openNative({ files: [fixture('6.1').vmcore] }));
});
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
  await answer({ vmcore: [], strict: true } as unknown as AnswerOptions, question);
  expect(process.exitCode).toBe(status);
});
