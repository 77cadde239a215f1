import { expect, test } from 'vitest';
import type { SharedFile } from '../../../src/host/proc/shared-files.js';
import { sharedOwners } from '../../../src/host/proc/shared-owners.js';
import { madeSource } from '../../support/made-host.js';

const MIB = 2 ** 20;
const source = madeSource({
  files: {
    '/proc/7/comm': 'worker\n',
    '/proc/8/comm': 'worker\n',
    '/proc/9/comm': 'other\n',
    '/proc/9/cgroup': '0::/kubepods/pod7\n',
  },
});
const memfd = (pid: number, mib: number, more: Partial<SharedFile> = {}): SharedFile => {
  return { kind: 'file', name: `memfd:${pid}`, pid, bytes: mib * MIB, mapped: false, ...more };
};
const owners = (files: readonly SharedFile[], leastMib = 1000) =>
  sharedOwners(source, files, leastMib * MIB).map(({ kind, name, pid, files, processes, bytes }) => [
    kind,
    name,
    pid,
    files,
    processes,
    bytes / MIB,
  ]);

test('files of one process are one owner, apart from those that it maps', () => {
  const files = [memfd(7, 600), memfd(7, 500), memfd(7, 50, { mapped: true })];
  expect(owners(files)).toEqual([
    ['file', 'memfd:7', 7, 2, 1, 1100],
    ['file', 'memfd:7', 7, 1, 1, 50],
  ]);
});

test('processes of one name are one owner only if they have so much together', () => {
  const files = [memfd(7, 600), memfd(8, 500), memfd(9, 500)];
  expect(owners(files)).toEqual([
    ['file', 'memfd:7', 7, 2, 2, 1100],
    ['file', 'memfd:9', 9, 1, 1, 500],
  ]);
  expect(owners(files, 1200)).toHaveLength(3);
});

test('a tmpfs is named by its only large file, or by its mount point', () => {
  const file: SharedFile = { kind: 'file', name: '/data/x', mount: '/data', inside: 9, bytes: 900 * MIB };
  const rest = { kind: 'tmpfs', name: 'tmpfs /data', mount: '/data', inside: 9 } as const;
  expect(owners([file, { ...rest, bytes: 10 * MIB }])).toEqual([['file', '/data/x', undefined, 1, 1, 910]]);
  expect(owners([file, { ...rest, bytes: 400 * MIB }])).toEqual([['tmpfs', 'tmpfs /data', undefined, 1, 1, 1300]]);
  const [own] = sharedOwners(source, [{ ...rest, bytes: MIB }], 0);
  expect(own).toMatchObject({ comm: 'other', cgroup: '/kubepods/pod7', files: 0 });
  // The same path in our own mount namespace is another tmpfs.
  const { inside: _, ...here } = rest;
  expect(
    owners([
      { ...rest, bytes: MIB },
      { ...here, bytes: 2 * MIB },
    ]),
  ).toHaveLength(2);
});
