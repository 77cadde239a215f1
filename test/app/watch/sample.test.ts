import { expect, test } from 'vitest';
import type { MemoryAnswer } from '../../../src/account/memory/answer.js';
import { Sampler } from '../../../src/app/watch/sample.js';
import { HostError } from '../../../src/base/errors.js';
import { liveHost } from '../../../src/host/live.js';

const ANSWER = { source: 'counters', memory: { children: [] } } as unknown as MemoryAnswer;

/** Returns the given answers in order. */
function sampler(...answers: readonly (MemoryAnswer | Error)[]): Sampler {
  const left = [...answers];
  const look = async () => {
    const next = left.shift() ?? ANSWER;
    if (next instanceof Error) throw next;
    return next;
  };
  return new Sampler(liveHost, look, { interval: 60 });
}

const CLOSED = new HostError('denied', 'it may not be read');

test('refuses a source that never worked; one that fails later leaves a sample without categories', async () => {
  await expect(sampler(CLOSED).take(new Date(), 0)).rejects.toBe(CLOSED);
  const later = sampler(ANSWER, CLOSED);
  const first = await later.take(new Date(), 0);
  expect(first).toMatchObject({ noCategories: null, ledger: { source: 'counters' } });
  const sample = await later.take(new Date(), 2);
  expect(sample).toMatchObject({ ledger: null, noCategories: 'it may not be read', lost: 2 });
  expect(sample.look.processes.length).toBeGreaterThan(0);
});

test('contradictory free memory leaves a sample without categories', async () => {
  const freeConflict = { foundBy: 'counters', foundBytes: 1, countedBytes: 2 } as const;
  const sample = await sampler({ ...ANSWER, freeConflict }).take(new Date(), 0);
  expect(sample).toMatchObject({ ledger: null, noCategoriesCode: 'damaged' });
  expect(sample.noCategories).toBe('zones count 1 free bytes, and MemFree counts 2');
});

test('an internal error stops the watch', async () => {
  const bug = new TypeError('a bug');
  const later = sampler(ANSWER, bug);
  await later.take(new Date(), 0);
  await expect(later.take(new Date(), 0)).rejects.toBe(bug);
});

test('a watch does not sample itself', async () => {
  const sample = await sampler().take(new Date(), 0);
  expect(sample.look.processes.map(({ who }) => who.pid)).not.toContain(process.pid);
});
