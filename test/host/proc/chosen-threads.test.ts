import { expect, test } from 'vitest';
import { ChosenThreads } from '../../../src/host/proc/chosen-threads.js';
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

test('threads of a process are told from others, and from those that ended', () => {
  const chosen = ChosenThreads.ofProcess(madeSource({ files: FILES }), 7);
  expect([7, 8, 9, 0, 10].map((tid) => chosen.has(tid))).toEqual([true, true, false, false, false]);
  expect(chosen.ended).toBe(1);
});

test('a cgroup has what lies below it, and not its neighbour of a longer name', () => {
  const chosen = ChosenThreads.ofCgroup(madeSource({ files: FILES }), '/build.slice');
  expect([7, 8, 9, 10].map((tid) => chosen.has(tid))).toEqual([true, true, false, false]);
  expect(chosen.ended).toBe(1);
  const all = ChosenThreads.ofCgroup(madeSource({ files: FILES }), '/');
  expect([7, 8, 9].map((tid) => all.has(tid))).toEqual([true, true, true]);
});

test('a cgroup that does not exist is no choice, one that is empty is', () => {
  const files = { ...FILES, '/sys/fs/cgroup/empty.slice/cgroup.procs': '' };
  const old = { ...FILES, '/sys/fs/cgroup/memory/old/tasks': '' };
  expect(() => ChosenThreads.ofCgroup(madeSource({ files }), '/build.slcie')).toThrow(
    'no such cgroup: /build.slcie',
  );
  expect(ChosenThreads.ofCgroup(madeSource({ files }), '/empty.slice').has(7)).toBe(false);
  expect(ChosenThreads.ofCgroup(madeSource({ files: old }), '/old').has(7)).toBe(false);
});

test('a number that is given to another is asked about again, and not at each event', () => {
  const files = { ...FILES };
  let [now, reads] = [0, 0];
  const source = madeSource({ files });
  const chosen = ChosenThreads.ofCgroup(
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
  // Whether there is such a cgroup was asked.
  reads = 0;
  expect([chosen.has(9), chosen.has(9), chosen.has(9), reads]).toEqual([true, true, true, 1]);
  files['/proc/9/cgroup'] = '0::/other\n';
  now = 5000;
  expect(chosen.has(9)).toBe(false);
});

test('a process whose number another one took is not followed on', () => {
  const stat = (start: number) => `7 (make) S ${'0 '.repeat(18)}${start} 0 0\n`;
  const files: Record<string, string> = { ...FILES, '/proc/7/stat': stat(100) };
  let now = 0;
  const chosen = ChosenThreads.ofProcess({ ...madeSource({ files }), now: () => now }, 7);
  expect(chosen.has(7)).toBe(true);
  files['/proc/7/stat'] = stat(90_000);
  now = 5000;
  expect(chosen.has(7)).toBe(false);
});
