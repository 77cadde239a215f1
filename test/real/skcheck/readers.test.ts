import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/answers/skcheck/schema.js';
import { formatSkcheckText } from '../../../src/answers/skcheck/text.js';
import { bound, connections } from './queues.js';
import { type Actor, Stage, skcheck, skcheckJson, together, until } from './stage.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

const actors: Record<string, Actor> = {};
let report: SkcheckReport;
let status: number | null;

beforeAll(async () => {
  const pair = async (name: string, ...args: Parameters<Stage['pair']>) => {
    const made = await stage.pair(...args);
    actors[name] = made.server;
    actors[`${name}, its writer`] = made.client;
  };
  await Promise.all([
    pair('tcp never', {}),
    pair('tcp slow', { reads: 'slow' }),
    pair('tcp healthy', { reads: 'healthy' }),
    pair('tcp6 never', { host: '::1' }, { bytes: 3000 }),
    pair('tcp stopped', { reads: 'healthy' }),
    pair('tcp idle', { reads: 'healthy' }, { bytes: 0 }),
    pair('unix never', { path: join(dir, 'never 12\n.sock') }, { bytes: 50_000 }),
    pair('unix slow', { path: join(dir, 'slow 12\n.sock'), reads: 'slow' }),
    pair('unix healthy', { path: join(dir, 'healthy 12\n.sock'), reads: 'healthy' }),
  ]);
  actors['tcp stopped']?.stop();

  const full = await stage.start('server', { reads: 'healthy', backlog: 1 });
  actors['full listener'] = full;
  full.stop();
  const hanging = { port: full.port, bytes: 0, hangs: true };
  await Promise.all([1, 2, 3, 4].map(() => stage.start('client', hanging)));

  const udp = await stage.start('udp');
  actors['udp stopped'] = udp;
  udp.stop();
  await stage.start('datagrams', { port: udp.port, count: 20 });
  const busy = await stage.start('udp');
  actors['udp healthy'] = busy;
  await stage.start('datagrams', { port: busy.port, count: 20, bursts: true });

  const stopped = actors['tcp stopped']?.port ?? 0;
  await until(() => connections(stopped).servers.some(({ recvQ }) => recvQ > 0));
  await until(() => (bound('-t', full.port)?.recvQ ?? 0) > 1);
  await until(() => (bound('-u', udp.port)?.recvQ ?? 0) > 0);
  const run = skcheckJson(['--stale', '--interval', '3']);
  ({ report, status } = run);
});

/** Entries of the sockets that an actor holds. */
function saidOf(name: string) {
  const pid = actors[name]?.pid;
  expect(pid).toBeGreaterThan(0);
  return report.sockets.filter(({ holders }) => holders.some((holder) => holder.pid === pid));
}

describe('names the reader that stopped', () => {
  test.each([
    ['tcp never', 'TCP', 'proved'],
    ['tcp6 never', 'TCP', 'proved'],
    ['tcp stopped', 'TCP', 'proved'],
  ])('%s', (name, protocol, certainty) => {
    const [socket, ...more] = saidOf(name);
    expect(more).toEqual([]);
    expect(socket).toMatchObject({ protocol, stalled: { verdict: 'stalled-reader', certainty } });
    expect(socket?.unreadBytes).toBeGreaterThan(0);
    expect(socket?.stalled.forMs).toBeGreaterThanOrEqual(report.host.watchedMs);
    expect(socket?.pid).toBe(actors[name]?.pid);
    expect(socket?.fds.length).toBe(1);
  });

  // A process whose descriptors are hidden even from root makes these two likely, not proved.
  test.each([
    ['udp stopped', 'UDP', /^no process that holds it ran/],
    ['unix never', 'UNIX', /ran in|ran and the queue|idle/],
  ])('%s', (name, protocol, because) => {
    const [socket, ...more] = saidOf(name);
    expect(more).toEqual([]);
    expect(socket).toMatchObject({ protocol, stalled: { verdict: 'stalled-reader' } });
    expect(socket?.stalled.because).toMatch(because);
  });

  test('with the process at the other end of a unix socket', () => {
    const writer = actors['unix never, its writer'];
    expect(saidOf('unix never')[0]?.otherEnd).toMatchObject({ pid: writer?.pid, comm: 'node' });
    expect(saidOf('tcp never')[0]?.otherEnd).toBeNull();
    expect(formatSkcheckText(report, { verbose: true })).toMatch(
      new RegExp(`, other end: fd \\d+ of pid ${writer?.pid} \\(node\\) `),
    );
  });

  test('with the amount of sent and unread data', () => {
    expect(saidOf('tcp6 never')[0]?.unreadBytes).toBe(3000);
    expect(saidOf('unix never')[0]?.unreadBytes).toBe(50_000);
    for (const { pinned, protocol, unreadBytes } of report.sockets)
      if (protocol !== 'UDP') expect(pinned.low).toBeGreaterThanOrEqual(unreadBytes);
  });

  test('with the visible reason', () => {
    expect(saidOf('tcp stopped')[0]?.stalled.because).toMatch(/stopped \(SIGSTOP\)$/);
    expect(saidOf('tcp never')[0]?.stalled.because).toMatch(/its main thread is sleeping/);
  });

  test('with an exit status for a stalled socket', () => {
    expect(status).toBe(1);
  });
});

describe('does not name the others', () => {
  test.each([
    'tcp slow',
    'tcp healthy',
    'tcp idle',
    'full listener',
    'udp healthy',
    'unix slow',
    'unix healthy',
    'unix never, its writer',
    'unix healthy, its writer',
  ])('%s', (name) => {
    expect(saidOf(name)).toEqual([]);
  });

  test('reports that a slow reader reads', () => {
    const { report: all, status } = skcheckJson(['--interval', '3', '--pid', `${actors['tcp slow']?.pid}`]);
    expect(all.sockets[0]?.stalled).toMatchObject({ verdict: 'reading', certainty: null });
    expect(all.sockets[0]?.stalled.because).toMatch(/^read /);
    expect(status).toBe(0);
  });
});

describe('--pid', () => {
  test('selects one process, for the exit status too', async () => {
    const [one, healthy] = await together(
      ...['tcp never', 'tcp idle'].map((name) => ['--stale', '--interval', '1', '--pid', `${actors[name]?.pid}`]),
    );
    expect(one?.report.sockets.map(({ pid }) => pid)).toEqual([actors['tcp never']?.pid]);
    expect(one?.status).toBe(1);
    expect(healthy?.status).toBe(0);
    expect(healthy?.report.totals.sockets).toBeGreaterThan(0);
  });
});

describe('--interval 0', () => {
  test('judges by lastrcv, reports that, and is quick', async () => {
    const { report: one } = skcheckJson(['--stale', '--interval', '0']);
    expect(one.host.samples).toBe(1);
    const socket = one.sockets.find(({ pid }) => pid === actors['tcp6 never']?.pid);
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader', certainty: 'likely' });
    expect(socket?.stalled.forMs).toBeGreaterThanOrEqual(1000);
    expect(one.sockets.some(({ pid }) => pid === actors['tcp idle']?.pid)).toBe(false);
    expect(skcheck(['--stale', '--interval', '0']).stdout).toContain('(one sample, judged by');
  });
});

test('--min-bytes excludes smaller queues', () => {
  const { report: large } = skcheckJson(['--stale', '--interval', '1', '--min-bytes', '3001']);
  expect(large.sockets.some(({ pid }) => pid === actors['tcp6 never']?.pid)).toBe(false);
  expect(large.sockets.some(({ pid }) => pid === actors['tcp never']?.pid)).toBe(true);
});

test('in a pipe the text names them in full, with escaped control characters', () => {
  const { stdout } = skcheck(['--stale', '--interval', '1']);
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(
    /^[\d,]+ (?:sockets of pid|of [\d,]+ sockets) .*\. Together they pin (?:about |between )?\d/,
  );
  expect(stdout).not.toContain('…');
  expect(stdout).toMatch(new RegExp(`^ *${actors['tcp never']?.pid}  node `, 'm'));
  expect(stdout).not.toContain('\u001b');
});
