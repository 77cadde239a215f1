import { expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/answers/skcheck/schema.js';
import { formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { report, socket } from './samples.js';

type Owner = SkcheckReport['owners'][number];

const MIB = 2 ** 20;
const pinned = (bytes: number) => ({ low: bytes, likely: bytes, high: bytes, atMost: bytes });
const owner = (over: Partial<Owner>): Owner => ({
  kind: 'process',
  pid: 7,
  comm: 'capture',
  sockets: 1,
  pinned: pinned(1024 * MIB),
  payloadBytes: 0,
  chargedBytes: 0,
  ringBytes: 0,
  largest: { protocol: 'TCP', state: 'FIN-WAIT-1', local: '10.0.0.1:80', peer: '10.0.0.2:9' },
  inFlight: null,
  ...over,
});
const linesOf = (owners: readonly Owner[], over: Partial<SkcheckReport> = {}) =>
  formatSkcheckText({ ...report([]), owners, ...over }).split('\n');

test('packet rings come first, with their process', () => {
  const [first, second] = linesOf([owner({ ringBytes: 1024 * MIB })]);
  expect(first).toMatch(/^Packet rings of pid 7 \(capture\) occupy 1\.00 GiB\. .*AF_PACKET/);
  expect(second).toMatch(/^No stalled socket/);
});

test('orphans come first, with why they stay and the command that frees them', () => {
  const bounds = { ...report([]).bounds, orphanRetries: 8, maxOrphans: 4096 };
  const orphans = owner({ kind: 'orphans', pid: null, comm: null, sockets: 60, pinned: pinned(962 * MIB) });
  const [first, second] = linesOf([orphans], { bounds });
  expect(first).toBe(
    '60 orphaned TCP sockets (no process) pin 962 MiB: closed here with data that the peer has not acknowledged.',
  );
  expect(second).toContain('after 8 retransmissions (tcp_orphan_retries; 0 means 8)');
  expect(second).toContain('Above 4,096 orphans (tcp_max_orphans)');
  expect(second).toContain('ss -K state fin-wait-1 dst 10.0.0.2 ');
});

test('sockets in flight name the process that has not received them; smaller than stalled ones, they come second', () => {
  const inFlight = { pid: 9, comm: 'broker', fd: 4, descriptors: 600 };
  const [first, second] = linesOf([owner({ kind: 'unknown', pid: null, comm: null, pinned: pinned(1), inFlight })]);
  expect(first).toMatch(/^No stalled socket/);
  expect(second).toContain(
    'pid 9 (broker) has not received 600 passed descriptors (SCM_RIGHTS) from its unix socket fd 4',
  );
});

test('a unix socket has the process at its other end, several only if it has all', () => {
  const to = (pid: number) =>
    socket('web', { protocol: 'UNIX', peer: '*', otherEnd: { inode: pid, pid, comm: 'a\nb', fds: [7] } });
  const text = (...ends: number[]) => formatSkcheckText(report(ends.map(to)), {});
  expect(text(20)).toContain(', other end: fd 7 of pid 20 (a\\x0ab) ');
  expect(text(10)).toContain(', other end: fd 7 of the same process ');
  expect(text(20, 20, 20)).toContain(' × 3, other end: pid 20 (a\\x0ab) ');
  const mixed = text(20, 20, 21);
  expect(mixed).toContain(' × 3 ');
  expect(mixed).not.toContain('other end');
});

test('sockets that are alike are one row with sums, below rows that pin more; -v lists each', () => {
  const equal = Array.from({ length: 60 }, (_, index) =>
    socket('web', {
      fds: [index + 3],
      peer: `10.0.0.2:${40_000 + index}`,
      pinned: pinned(16 * MIB),
      unreadBytes: 15 * MIB,
    }),
  );
  const small = socket('cat', {
    pid: 11,
    peer: '10.0.0.9:1',
    pinned: { low: 1, likely: 6144, high: 9e6, atMost: 9e6 },
  });
  const rows = (verbose: boolean) =>
    formatSkcheckText(report([small, ...equal.toReversed()]), { verbose })
      .split('\n')
      .filter((line) => /^ *1[01] {2}/.test(line));
  expect(rows(false)).toEqual([
    expect.stringMatching(/^ 10 {2}web {3}3 \+59 {2}tcp 10\.0\.0\.1:80 ← 10\.0\.0\.2 × 60 .* 900 MiB +1\.5s +960 MiB/),
    // Bounds that are far apart.
    expect.stringMatching(/ 6\.00 KiB {2}1 B-8\.58 MiB$/),
  ]);
  expect(formatSkcheckText(report(equal), {})).toContain(' +N in FD: and N more descriptors.');
  expect(formatSkcheckText(report([small]), {})).not.toContain('in FD:');
  expect(rows(true)).toHaveLength(61);
  expect(rows(true).at(-1)).toMatch(/ 1 B?-8\.58 MiB$/);
});
