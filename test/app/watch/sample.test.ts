import { expect, test } from 'vitest';
import type { MemoryAnswer } from '../../../src/account/memory/answer.js';
import { Sampler } from '../../../src/app/watch/sample.js';
import { HostError } from '../../../src/base/errors.js';
import { liveHost } from '../../../src/host/live.js';
import { DEVICE_KINDS, type NamedKind } from '../../../src/records/named-memory.js';

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
  expect(sample.look.processes.map(({ pid }) => pid)).not.toContain(process.pid);
});

test('a sample has rings and pins with the process that has most of them; a failed pass leaves all kinds unread', async () => {
  const row = { kind: 'pinned', name: 'RDMA', category: null, source: '', bytes: 100 } as const;
  const processes = [
    { pid: 1, comm: 'a', bytes: 40 },
    { pid: 2, comm: 'b', bytes: 60 },
  ];
  const named = [
    { ...row, figures: { mostBytes: 101 }, processes },
    { ...row, name: 'io_uring', figures: { mostBytes: 150 } },
    { ...row, kind: 'zram' as const, figures: {} },
  ];
  const of = async (...kinds: readonly NamedKind[]) => {
    const notRead = kinds.map((kind) => ({ kind, code: 'denied' as const, why: '' }));
    return (await sampler({ ...ANSWER, named, notRead }).take(new Date(), 0)).devices;
  };
  expect(await of('zram')).toEqual({
    devices: [
      { kind: 'pinned', name: 'io_uring', bytes: null, leastBytes: 100, mostBytes: 150, process: null },
      { kind: 'pinned', name: 'RDMA', bytes: 100, leastBytes: 100, mostBytes: 101, process: processes[1] },
    ],
    unread: [],
  });
  expect((await of('trace-rings'))?.unread).toEqual(['trace-rings']);
  expect((await of('bpf-maps'))?.unread).toEqual(DEVICE_KINDS);
});
