import { expect, test } from 'vitest';
import { chosen, largestProgram } from '../../../src/account/processes/groups.js';
import { hostProcesses } from '../../../src/account/processes/host.js';
import { placeOf } from '../../../src/records/cgroups.js';
import type { ProcessMemoryRecord } from '../../../src/records/processes.js';

const MIB = 2 ** 20;
const NAMES = { kernelThreads: 2, zombies: 0, gone: 0, hidden: false };

/** `alone` MiB of its own, and `shared` MiB of anonymous memory that `sharers` processes map. */
function record(
  pid: number,
  comm: string,
  { alone = 1, shared = 0, sharers = 1, swap = 0, swapSharers = 1, seen = true },
): ProcessMemoryRecord {
  const [rss, pss] = [(alone + shared) * MIB, (alone + shared / sharers) * MIB];
  return {
    pid,
    comm,
    uid: 0,
    nsPids: [pid],
    cgroup: placeOf('/'),
    threads: 1,
    ageSeconds: 10,
    oomScore: 1,
    oomScoreAdj: 0,
    started: 100,
    readAt: 50,
    minorFaults: 7,
    majorFaults: 0,
    status: {
      rss,
      anonymous: rss,
      file: 0,
      shmem: 0,
      swap: swap * MIB,
      pageTables: 0,
      locked: 0,
      pinned: 0,
      hugetlb: 0,
    },
    sums: seen
      ? {
          rss,
          pss,
          uss: alone * MIB,
          anonymous: rss,
          pssAnonymous: pss,
          pssShmem: 0,
          swap: swap * MIB,
          swapPss: (swap / swapSharers) * MIB,
          hugetlb: 0,
          locked: 0,
        }
      : null,
  };
}

const WORKERS = [1, 2, 3, 4].map((pid) => record(pid, 'worker', { shared: 20, sharers: 4 }));

function bounds(rows: readonly ProcessMemoryRecord[], more: Partial<typeof NAMES> = {}) {
  const answer = hostProcesses({ processes: rows, ...NAMES, ...more });
  const { groups = [] } = chosen(answer, { by: 'command' }, String).answer;
  return Object.fromEntries(
    groups.map(({ key, freedIfKilledBytes, freedIfKilledMostBytes }) => [
      key,
      [freedIfKilledBytes, freedIfKilledMostBytes].map((bytes) => (bytes === null ? null : bytes / MIB)),
    ]),
  );
}

test('frees memory that only processes of the group share with the last of them', () => {
  expect(bounds([...WORKERS, record(9, 'other', {})])).toEqual({ worker: [24, 24], other: [1, 1] });
});

test('does not free memory that a process outside shares or may share', () => {
  const half = [...WORKERS.slice(0, 3), record(4, 'apart', { shared: 20, sharers: 4 })];
  // Three of four mappings: 15 of 20 MiB are in the PSS of the group, and none of it is freed.
  expect(bounds(half)['worker']).toEqual([3, 18]);
  const unseen = record(9, 'unseen', { alone: 8, seen: false });
  expect(bounds([...WORKERS, unseen])).toEqual({ worker: [16, 24], unseen: [null, null] });
  const unrelated = [8, 9].map((pid) => record(pid, 'pair', { shared: 4, sharers: 2 }));
  expect(bounds([...WORKERS, ...unrelated])['worker']).toEqual([20, 24]);
});

test.each([{ hidden: true }, { kernelThreads: 0 }])(
  'frees with certainty only pages with one mapping if processes are hidden (%o)',
  (more) => {
    expect(bounds(WORKERS, more)['worker']).toEqual([4, 24]);
  },
);

test('frees a shared swap entry once', () => {
  const rows = [1, 2].map((pid) => record(pid, 'worker', { swap: 6, swapSharers: 2 }));
  expect(bounds(rows)['worker']).toEqual([8, 14]);
});

test('does not count shared swap for one process', () => {
  const freedOf = (...rows: readonly ProcessMemoryRecord[]) =>
    hostProcesses({ processes: rows, ...NAMES }).processes.map(
      ({ freedIfKilledBytes }) => (freedIfKilledBytes ?? -1) / MIB,
    );
  expect(freedOf(record(1, 'alone', { swap: 8 }))).toEqual([9]);
  // Four have all of it.
  expect(freedOf(record(1, 'worker', { swap: 8, swapSharers: 4 }))).toEqual([1]);
});

test('names many small processes with one name if together they exceed a large one', () => {
  const processes = [
    { pid: 1, comm: 'analytics', amount: 5 },
    { pid: 2, comm: 'postgres', amount: 2 },
    { pid: 3, comm: 'postgres', amount: 4 },
    { pid: 4, comm: null, amount: 3 },
    { pid: 5, comm: null, amount: 3 },
  ];
  expect(largestProgram(processes)).toEqual({ pid: 3, comm: 'postgres', processes: 2, amount: 6 });
  // Their sum exceeds the memory of the machine.
  expect(largestProgram(processes, 5)).toEqual({ pid: 1, comm: 'analytics', processes: 1, amount: 5 });
  expect(largestProgram([{ pid: 1, comm: 'idle', amount: 0 }])).toBeUndefined();
});
