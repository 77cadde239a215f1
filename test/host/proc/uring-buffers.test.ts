import { expect, test } from 'vitest';
import { UringBuffers } from '../../../src/host/proc/uring-buffers.js';

const MIB = 2 ** 20;

/** io_uring_show_fdinfo of io_uring/fdinfo.c (6.18), as Linux 6.18.44 printed it, below the lines of seq_show. */
const fdinfo = (
  inode: number | null,
  buffers: readonly string[],
  files: readonly string[] = [],
  count = buffers.length,
) =>
  [
    `pos:\t0\nflags:\t02000002\nmnt_id:\t17\n${inode === null ? '' : `ino:\t${inode}\n`}SqMask:\t0x7\nSqHead:\t0\nSqTail:\t0\nCachedSqHead:\t0`,
    'CqMask:\t0xf\nCqHead:\t0\nCqTail:\t0\nCachedCqTail:\t0\nSQEs:\t0\nCQEs:\t0\nSqThread:\t-1\nSqThreadCpu:\t-1',
    `UserFiles:\t${files.length}`,
    ...files.map((name, at) => `${String(at).padStart(5)}: ${name}`),
    `UserBufs:\t${count}`,
    ...buffers.map((text, at) => `${String(at).padStart(5)}: ${text}`),
    'PollList:\nCqOverflowList:\nNAPI:\tdisabled\n',
  ].join('\n');
const at = (mib: number, length: number) => `0x${(0x7f00_0000_0000 + mib * MIB).toString(16)}/${length * MIB}`;

function rows(rings: readonly (readonly [pid: number, text: string])[], pinned: Readonly<Record<number, number>> = {}) {
  const all = new UringBuffers();
  for (const [pid, text] of rings) all.add(pid, text, true);
  const pinnedOf = (pid: number) => (pinned[pid] === undefined ? null : pinned[pid] * MIB);
  return all
    .rows(pinnedOf, (some) => some.flatMap(({ bytes, pids }) => [...pids].map((pid) => ({ pid, comm: null, bytes }))))
    .map(({ bytes, figures, processes }) => [
      (bytes ?? 0) / MIB,
      (figures.mostBytes ?? 0) / MIB,
      figures.busyRings,
      ...(processes ?? []).map((one) => `${one.pid}: ${one.bytes / MIB}`),
    ]);
}

test('a buffer counts once for its process: of two rings, of a clone, and of an inherited ring', () => {
  const shared = fdinfo(2, [at(100, 20), '<none>', '0x0/8388608']);
  expect(
    rows(
      [
        [7, fdinfo(1, [at(0, 40)])],
        [7, fdinfo(3, [at(20, 40)])],
        [8, shared],
        [9, shared],
        [6, fdinfo(4, [])],
      ],
      { 7: 80, 8: 0, 9: 20 },
    ),
  ).toEqual([[80, 80, 0, '7: 60', '9: 20']]);
});

test('two processes may have buffers at the same address', () => {
  expect(
    rows([
      [7, fdinfo(1, [at(0, 40)])],
      [8, fdinfo(2, [at(0, 40)])],
    ]),
  ).toEqual([[80, 80, 0, '7: 40', '8: 40']]);
});

test('names of files are no buffers', () => {
  const name = `x\nUserBufs:\t1\n    0: ${at(0, 900)}`;
  expect(rows([[7, fdinfo(1, [at(0, 40)], [name])]])).toEqual([[40, 40, 0, '7: 40']]);
});

test.each([
  ['a busy ring has no buffers below the heading (before 6.18)', fdinfo(1, [], [], 3)],
  ['a busy ring has no heading (6.18)', 'pos:\t0\nflags:\t02000002\nmnt_id:\t17\nino:\t1\n'],
  ['a malformed line', fdinfo(1, ['0xzz/4096'])],
])('%s: unknown up to VmPin, not zero', (_, text) => {
  expect(rows([[7, text]], { 7: 48 })).toEqual([[0, 48, 1, '7: 0']]);
  expect(rows([[7, text]], { 7: 0 })).toEqual([]);
});

/** The inode of anon_inodefs, which all rings have before 5.16; before 5.14 fdinfo has none. */
test.each([1038, null])('rings that share the inode %s may be one, as far as VmPin allows', (inode) => {
  const same = fdinfo(inode, [at(0, 40)]);
  const both = [
    [7, same],
    [8, same],
  ] as const;
  // The child inherited it: nothing of it is in its VmPin.
  expect(rows(both, { 7: 40, 8: 0 })).toEqual([[40, 40, 0, '7: 40']]);
  // Each registered its own, at the same address.
  expect(rows(both, { 7: 40, 8: 40 })).toEqual([[40, 80, 0, '7: 40']]);
  expect(rows([...both, [9, fdinfo(inode, [at(50, 20)])]], { 7: 40, 8: 40, 9: 20 })).toEqual([
    [60, 100, 0, '7: 40', '9: 20'],
  ]);
  const busy = fdinfo(inode, [], [], 3);
  const two = [
    [7, busy],
    [8, busy],
  ] as const;
  expect(rows(two, { 7: 40, 8: 30 })).toEqual([[0, 70, 2, '7: 0', '8: 0']]);
});

test('more rings than are kept are not silent', () => {
  const all = new UringBuffers(1);
  all.add(7, fdinfo(1, [at(0, 40)]), true);
  all.add(8, fdinfo(1, [at(0, 40)]), true);
  expect(all.isCut).toBe(false);
  all.add(7, fdinfo(2, [at(0, 40)]), true);
  expect(all.isCut).toBe(true);
});
