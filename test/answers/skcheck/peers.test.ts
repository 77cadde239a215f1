import { expect, test } from 'vitest';
import { formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { scanWarnings } from '../../../src/answers/skcheck/warnings.js';
import { HostError } from '../../../src/base/errors.js';
import { observe } from '../../../src/host/observe.js';
import { diagnose } from '../../../src/skcheck/diagnose.js';
import { FakeHost } from '../../host/fake-host.js';
import { report, socket } from './samples.js';

test('several local peers: the process with most of them is named', () => {
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
    localPeers: { sockets: 4, unsentBytes: 36, pinned: pinnedBy(2 ** 20) },
  };
  const text = formatSkcheckText({ ...whole, totals });
  expect(text).toContain(' local peers pin ');
  expect(text).toContain(' About 2.00 MiB is in 2 of pid 12 (curl');
  expect(text).not.toContain('\u001b');
});

test('namespaces that could not be entered are named, with what is missing', async () => {
  const host = new FakeHost();
  const ss = host.ss.bind(host);
  host.ss = async (args, netns, onBytes) => {
    if (netns !== null) throw new HostError('netns-closed', 'no');
    return ss(args, netns, onBytes);
  };
  for (const pid of [20, 21, 22, 23, 24]) host.links.set(`/proc/${pid}/ns/net`, `net:[${pid}]`);
  const observation = await observe(host, { intervalMs: 2000, netns: 'all' });
  const access = { captured: false, root: false, lacking: [] };
  const warnings = scanWarnings(observation, diagnose(observation), access);
  expect(warnings.find(({ code }) => code === 'netns-closed')).toMatchObject({
    message: expect.stringMatching(
      /Not scanned: that of pid 20, that of pid 21, that of pid 22 and 2 more\. Sockets there, and peers there of sockets listed here, are neither counted nor named$/,
    ),
  });
});
