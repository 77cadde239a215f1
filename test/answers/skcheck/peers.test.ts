import { expect, test } from 'vitest';
import { formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { scanWarnings } from '../../../src/answers/skcheck/warnings.js';
import { HostError } from '../../../src/base/errors.js';
import { observe } from '../../../src/host/observe.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';
import { FakeHost } from '../../host/fake-host.js';
import { report, socket } from './samples.js';

test('with several local peers, names the process that holds most of them', () => {
  const pinnedBy = (likely: number) => ({ low: 1, likely, high: likely, atMost: likely });
  const reader = (inode: number, pid: number | null, likely: number) =>
    socket('reader', {
      localPeer: {
        inode,
        pid,
        comm: pid === null ? null : 'curl\u001b',
        fds: [5],
        netns: 1,
        unsentBytes: 9,
        pinned: pinnedBy(likely),
      },
    });
  const sockets = [reader(1, 12, 2 ** 20), reader(2, 12, 2 ** 20), reader(3, 13, 2 ** 20)];
  const whole = report([...sockets, reader(4, null, 2 ** 30)]);
  const totals = {
    ...whole.totals,
    stalled: 4,
    localPeers: { sockets: 4, unsentBytes: 36, stalledSenders: 0, pinned: pinnedBy(2 ** 20) },
  };
  const text = formatSkcheckText({ ...whole, totals });
  expect(text).toContain(' of it in the send queues of their 4 local peers, which only wait; about ');
  expect(text).toContain('; about 2.00 MiB is in 2 sockets of pid 12 (curl');
  expect(text).not.toContain('\u001b');
});

test('a reader and the queues of all its peers stand above the senders that wait for it', () => {
  const pinned = (likely: number) => ({ low: likely, likely, high: likely, atMost: likely });
  const peer = { inode: 1, pid: 5, comm: 'tx', fds: [5], netns: 1, unsentBytes: 9, pinned: pinned(2 ** 22) };
  const of = (
    comm: string,
    verdict: 'stalled-reader' | 'stalled-sender',
    bytes: number,
    localPeer: typeof peer | null,
  ) =>
    [1, 2, 3].map((index) => {
      const one = socket(comm, { peer: `10.0.0.2:${index}`, pinned: pinned(bytes), localPeer });
      return { ...one, stalled: { ...one.stalled, verdict } };
    });
  const rows = (...sockets: ReturnType<typeof of>) =>
    formatSkcheckText(report(sockets))
      .split('\n')
      .flatMap((line) => /^ *10 {2}(rx|tx) /.exec(line)?.[1] ?? []);
  const senders = of('tx', 'stalled-sender', 2 ** 22, null);
  expect(rows(...senders, ...of('rx', 'stalled-reader', 2 ** 12, peer))).toEqual(['rx', 'tx']);
  expect(rows(...senders, ...of('rx', 'stalled-reader', 0, peer))).toEqual(['rx', 'tx']);
});

test('a process that writes to itself is said so', () => {
  const pinned = { low: 1, likely: 2 ** 20, high: 2 ** 20, atMost: 2 ** 20 };
  const peer = (inode: number) => ({ inode, pid: 7, comm: 'app', fds: [5], netns: 1, unsentBytes: 9, pinned });
  const first = (reader: number) => {
    const whole = report([1, 2].map((inode) => socket('reader', { pid: reader, comm: 'app', localPeer: peer(inode) })));
    const localPeers = { sockets: 2, unsentBytes: 18, stalledSenders: 0, pinned };
    return formatSkcheckText({ ...whole, totals: { ...whole.totals, stalled: 2, localPeers } }).split('\n')[0];
  };
  expect(first(7)).toContain(' all of the same process, which does not read what it writes to itself.');
  expect(first(8)).toMatch(/, all in pid 7 \(app\)\. /);
});

test('the first line has the stalled sockets, their peers, the sum and its share of memory, and the process', () => {
  const pinned = (likely: number) => ({ low: likely, likely, high: likely, atMost: likely });
  const peer = { inode: 9, pid: 5, comm: 'curl', fds: [5], netns: 1, unsentBytes: 9 };
  const reader = (pid: number, own: number, peers: number) =>
    socket('reader', { pid, comm: 'app', pinned: pinned(own), localPeer: { ...peer, pinned: pinned(peers) } });
  // The largest queue is not the one with the largest peer.
  const sockets = [reader(7, 2 ** 20, 2 ** 30), reader(8, 2 ** 21, 0), reader(8, 2 ** 20, 0)];
  const whole = report(sockets);
  const worst = { pid: 8, comm: 'app', sockets: 2, shared: 0, stopped: false, unaccepted: 0 };
  const totals = {
    ...whole.totals,
    stalled: 3,
    pinned: pinned(2 ** 22),
    localPeers: { sockets: 1, unsentBytes: 9, stalledSenders: 0, pinned: pinned(2 ** 30) },
    worstOwner: { ...worst, likelyPinnedBytes: 3, localPeers: 0, likelyLocalPeersBytes: 0 },
  };
  const host = { ...whole.host, memoryBytes: 2 ** 31 };
  const text = formatSkcheckText({ ...whole, host, totals });
  expect(text.split('\n')[0]).toMatch(
    /^3 of 50 sockets are not being read, 2 of them by pid 8 \(app\)\. Together they pin about 1\.00 GiB \(50 % of memory\), almost all of it in the send queue of their local peer, which only waits\.$/,
  );
  expect(text).toMatch(/\n\nNext: skcheck -v --pid 8$/);
  // The largest socket is of another process.
  const beside = formatSkcheckText({ ...whole, host, totals, sockets: [reader(7, 2 ** 22, 0), ...sockets.slice(1)] });
  expect(beside).toMatch(/ not being read, 2 of them, which pin the largest part, by pid 8 \(app\)\. Together /);
  const small = { ...whole, host: { ...host, memoryBytes: 2 ** 37 }, totals };
  expect(formatSkcheckText(small)).toMatch(/ \(1 % of memory\), .*\n\nNext: kdump-mem triage$/s);
  // All are of one process, and unread for a short time.
  const brief = { ...whole, host, sockets: sockets.slice(1), totals: { ...totals, stalled: 2 } };
  expect(formatSkcheckText(brief)).toMatch(/^2 sockets .* All have been unread .*\n\nNext: skcheck --interval 15$/s);
  expect(formatSkcheckText(brief, { ofProcess: true })).toMatch(/\n\nNext: skcheck --interval 15 --pid 8$/);
  // Triage leads to one process, and that does not lead back.
  expect(formatSkcheckText(small, { ofProcess: true })).toMatch(/\n\nNext: skcheck -v --pid 8$/);
});

test('names network namespaces that could not be entered, with the missing privilege', async () => {
  const host = new FakeHost();
  const ss = host.ss.bind(host);
  host.ss = async (args, netns, onBytes) => {
    if (netns !== null) throw new HostError('netns-closed', 'no');
    return ss(args, netns, onBytes);
  };
  for (const pid of [20, 21, 22, 23, 24]) host.links.set(`/proc/${pid}/ns/net`, `net:[${pid}]`);
  const observation = await observe(host, { intervalMs: 2000, netns: 'all' });
  const access = { captured: false, root: false, lacking: [], modules: [] };
  const warnings = scanWarnings(observation, diagnose(observation), access);
  expect(warnings.find(({ code }) => code === 'netns-closed')).toMatchObject({
    message: expect.stringMatching(
      /Not scanned: that of pid 20, that of pid 21, that of pid 22 and 2 more\. Sockets there, and peers there of sockets listed here, are neither counted nor named$/,
    ),
  });
});
