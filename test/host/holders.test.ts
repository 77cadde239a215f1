import { expect, test } from 'vitest';
import { scanHolders } from '../../src/host/proc/holders.js';
import { FakeHost } from './fake-host.js';

test('names all forks and dups of a socket, each process once', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 7: 500, 3: 500, 4: 501 } });
  host.addProcess(20, { fds: { 3: 500 } });
  const { byInode, denied, processes } = await scanHolders(host, new Set([500]));
  expect([...byInode]).toEqual([
    [
      500,
      [
        { pid: 10, fds: [3, 7] },
        { pid: 20, fds: [3] },
      ],
    ],
  ]);
  expect(denied).toEqual([]);
  expect(processes).toBe(2);
});

test('accepts a process that exits between two reads', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 3: 500 } });
  host.addProcess(20, { fds: { 3: 500 } });
  host.onRead = (path) => {
    if (path === '/proc/10/fd/3') host.removeProcess(10);
  };
  expect([...(await scanHolders(host, new Set([500]))).byInode]).toEqual([[500, [{ pid: 20, fds: [3] }]]]);
});

test('reports a process without permission', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 3: 500 } });
  host.closed.add('/proc/99/fd');
  expect((await scanHolders(host, new Set([500]))).denied).toEqual([99]);
});

test('finds a thread with its own file table, under its process', async () => {
  const host = new FakeHost();
  host.addProcess(10, {
    threads: [
      [10, 'Z', 1],
      [11, 'S', 1],
    ],
  });
  host.links.set('/proc/10/task/11/fd/5', 'socket:[500]');
  expect([...(await scanHolders(host, new Set([500]))).byInode]).toEqual([[500, [{ pid: 10, fds: [5] }]]]);
});

test('includes standard input, which inetd passes to servers', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 0: 500, 1: 500 } });
  expect([...(await scanHolders(host, new Set([500]))).byInode]).toEqual([[500, [{ pid: 10, fds: [0, 1] }]]]);
});

test('reads no descriptor without a requested inode', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 3: 500 } });
  host.onRead = (path) => expect(path).toBe('/proc');
  expect((await scanHolders(host, new Set())).byInode.size).toBe(0);
});

test('rethrows an error that does not come from the host', async () => {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 3: 500 } });
  host.onRead = (path) => {
    if (path.endsWith('/fd/3')) throw new TypeError('a bug');
  };
  await expect(scanHolders(host, new Set([500]))).rejects.toThrow(TypeError);
});

test.each([
  { gaps: 'none', fdOf: (index: number) => index + 1 },
  { gaps: 'a few', fdOf: (index: number) => index + 1 + Math.floor(index / 100) },
  { gaps: 'more than are tried', fdOf: (index: number) => 3 * index + 1 },
  { gaps: 'a wide one', fdOf: (index: number) => (index < 200 ? index + 1 : index + 100_000) },
])('reads a large table completely, and each descriptor once; gaps: $gaps', async ({ fdOf }) => {
  const host = new FakeHost();
  const inodes = Array.from({ length: 400 }, (_, index) => 1000 + index);
  host.addProcess(10, { fds: Object.fromEntries(inodes.map((inode, index) => [fdOf(index), inode])) });
  const read: string[] = [];
  host.onRead = (path) => {
    if (path.startsWith('/proc/10/fd/')) read.push(path);
  };
  const { byInode } = await scanHolders(host, new Set(inodes));
  expect(inodes.map((inode) => byInode.get(inode))).toEqual(
    inodes.map((_, index) => [{ pid: 10, fds: [fdOf(index)] }]),
  );
  expect(new Set(read).size).toBe(read.length);
});

test('accepts descriptors of a large table that close during the read', async () => {
  const host = new FakeHost();
  const fds = Object.fromEntries(Array.from({ length: 400 }, (_, index) => [index + 1, index]));
  host.addProcess(10, { fds });
  host.onRead = (path) => {
    if (path === '/proc/10/fd/50') for (let fd = 100; fd < 300; fd++) host.links.delete(`/proc/10/fd/${fd}`);
  };
  const { byInode } = await scanHolders(host, new Set([10, 150, 390]));
  expect([...byInode.keys()]).toEqual([10, 390]);
});
