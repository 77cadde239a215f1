import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/answers/skcheck/schema.js';
import { formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { formatSize } from '../../../src/base/size.js';
import { Stage, skcheckJson, until } from './stage.js';

const CONNECTIONS = 16;
const stage = new Stage();
afterAll(() => {
  stage.end();
  process.kill(writer, 'SIGKILL');
});

/** Bytes that the kernel accounts to TCP sockets of all network namespaces. */
function tcpMemory(): number {
  return Number(/^TCP: .* mem (\d+)$/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))?.[1]) * 4096;
}

let reader: number;
let writer: number;
let report: SkcheckReport;
let all: SkcheckReport;

beforeAll(async () => {
  const { pid, port } = await stage.perl('local-writers.pl', `${CONNECTIONS}`);
  [reader, writer] = [pid, port];
  ({ report } = skcheckJson(['--stale', '--interval', '1', '--pid', `${pid}`]));
  ({ report: all } = skcheckJson(['--interval', '1.5']));
});

test('each stalled reader names its local peer, and the size of its send queue', () => {
  expect(report.sockets.length).toBe(CONNECTIONS);
  for (const { stalled, localPeer } of report.sockets) {
    expect(stalled.verdict).toBe('stalled-reader');
    expect(localPeer).toMatchObject({ pid: writer, comm: 'perl' });
    expect(localPeer?.fds.length).toBe(1);
    expect(localPeer?.pinned.likely).toBeGreaterThanOrEqual(localPeer?.unsentBytes ?? 0);
    expect(stalled.because).toContain(`its local peer pid ${writer} (perl) fd ${localPeer?.fds[0]} has `);
  }
  const unsent = report.sockets.reduce((sum, { localPeer }) => sum + (localPeer?.unsentBytes ?? 0), 0);
  expect(report.totals.localPeers).toMatchObject({ sockets: CONNECTIONS, unsentBytes: unsent });
  expect(unsent).toBeGreaterThan(2 ** 20);
});

test('a socket with a row of its own is not counted twice', () => {
  const senders = all.sockets.filter(({ pid }) => pid === writer);
  expect(senders.map(({ stalled }) => stalled.verdict)).toContain('stalled-sender');
  // A stalled sender is no stalled reader: it is in the total of the local peers only.
  expect(all.totals.localPeers.sockets).toBeGreaterThanOrEqual(CONNECTIONS);
  expect(all.totals.pinned.likely).toBe(
    all.sockets
      .filter(({ stalled }) => /stalled-reader|deadlocked/.test(stalled.verdict))
      .reduce((sum, { pinned }) => sum + pinned.likely, 0),
  );
});

test('the sentence names both shares, and killing the reader frees about their sum', async () => {
  const { pinned, localPeers, worstOwner } = report.totals;
  expect(worstOwner).toMatchObject({
    pid: reader,
    localPeers: CONNECTIONS,
    likelyPinnedBytes: pinned.likely,
    likelyLocalPeersBytes: localPeers.pinned.likely,
  });
  const text = formatSkcheckText(report).replace(/\s+/g, ' ');
  expect(text).toContain(
    `about ${formatSize(localPeers.pinned.likely)} of it in the send queues of their ${CONNECTIONS} local peers, which only wait, all in pid `,
  );
  const before = tcpMemory();
  process.kill(reader, 'SIGKILL');
  const expected = pinned.likely + localPeers.pinned.likely;
  await until(() => before - tcpMemory() > 0.7 * expected);
  expect(before - tcpMemory()).toBeLessThan(1.4 * expected);
});
