import { expect, test } from 'vitest';
import { ThreadFilter } from '../../../src/host/proc/chosen-threads.js';
import { madeSource } from '../../support/made-host.js';

const FILES: Record<string, string> = {
  '/proc/7/task/7/comm': 'make\n',
  '/proc/7/task/8/comm': 'make\n',
  '/proc/8/comm': 'make\n',
  '/proc/9/comm': 'other\n',
  '/proc/7/cgroup': '0::/build.slice/make.scope\n',
  '/proc/8/cgroup': '0::/build.slice\n',
  '/proc/9/cgroup': '0::/build.slice2\n',
};

test('distinguishes threads of a process from others, and from exited ones', () => {
  const chosen = ThreadFilter.ofProcess(madeSource({ files: FILES }), 7);
  expect([7, 8, 9, 0, 10].map((tid) => chosen.has(tid))).toEqual([true, true, false, false, false]);
  expect(chosen.exited).toBe(1);
});

test('includes the descendants of a cgroup, but not a sibling with a longer name', () => {
  const chosen = ThreadFilter.ofCgroup(madeSource({ files: FILES }), '/build.slice');
  expect([7, 8, 9, 10].map((tid) => chosen.has(tid))).toEqual([true, true, false, false]);
  expect(chosen.exited).toBe(1);
  const all = ThreadFilter.ofCgroup(madeSource({ files: FILES }), '/');
  expect([7, 8, 9].map((tid) => all.has(tid))).toEqual([true, true, true]);
});

test('rejects a cgroup that does not exist, and accepts an empty one', () => {
  const files = { ...FILES, '/sys/fs/cgroup/empty.slice/cgroup.procs': '' };
  const old = { ...FILES, '/sys/fs/cgroup/memory/old/tasks': '' };
  expect(() => ThreadFilter.ofCgroup(madeSource({ files }), '/build.slcie')).toThrow('no such cgroup: /build.slcie');
  expect(ThreadFilter.ofCgroup(madeSource({ files }), '/empty.slice').has(7)).toBe(false);
  expect(ThreadFilter.ofCgroup(madeSource({ files: old }), '/old').has(7)).toBe(false);
});

test('checks a reused thread id again, but not at each event', () => {
  const files = { ...FILES };
  let [now, reads] = [0, 0];
  const source = madeSource({ files });
  const chosen = ThreadFilter.ofCgroup(
    {
      ...source,
      now: () => now,
      readText: (path) => {
        reads++;
        return source.readText(path);
      },
    },
    '/build.slice2',
  );
  // The existence of the cgroup was checked.
  reads = 0;
  expect([chosen.has(9), chosen.has(9), chosen.has(9), reads]).toEqual([true, true, true, 1]);
  files['/proc/9/cgroup'] = '0::/other\n';
  now = 5000;
  expect(chosen.has(9)).toBe(false);
});

test('stops following a process whose pid is reused', () => {
  const stat = (start: number) => `7 (make) S ${'0 '.repeat(18)}${start} 0 0\n`;
  const files: Record<string, string> = { ...FILES, '/proc/7/stat': stat(100) };
  let now = 0;
  const chosen = ThreadFilter.ofProcess({ ...madeSource({ files }), now: () => now }, 7);
  expect(chosen.has(7)).toBe(true);
  files['/proc/7/stat'] = stat(90_000);
  now = 5000;
  expect(chosen.has(7)).toBe(false);
});
