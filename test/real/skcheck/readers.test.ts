import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SkcheckReport } from '../../../src/report/skcheck-schema.js';
import { type Actor, Stage, skcheck, skcheckJson, until } from './stage.js';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

const actors: Record<string, Actor> = {};
let report: SkcheckReport;
let status: number | null;

/** Recv-Q of the sockets whose local port this is, by ss itself. */
function queued(port: number, state: string, kind = '-t'): number[] {
  const { stdout } = spawnSync(
    'ss',
    ['-H', '-n', '-a', kind, 'state', state, 'sport', '=', `:${port}`],
    {
      encoding: 'utf8',
    },
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.trim().split(/\s+/)[0]));
}

beforeAll(async () => {
  for (const reads of ['never', 'slow', 'healthy'] as const) {
    const server = await stage.start('server', { reads });
    actors[`tcp ${reads}`] = server;
    await stage.start('client', { port: server.port });
  }
  const v6 = await stage.start('server', { reads: 'never', host: '::1' });
  actors['tcp6 never'] = v6;
  await stage.start('client', { port: v6.port, host: '::1', bytes: 3000 });

  const stopped = await stage.start('server', { reads: 'healthy' });
  actors['tcp stopped'] = stopped;
  await stage.start('client', { port: stopped.port });
  await stopped.accepted;
  stopped.stop();

  const idle = await stage.start('server', { reads: 'healthy' });
  actors['tcp idle'] = idle;
  await stage.start('client', { port: idle.port, bytes: 0 });

  const full = await stage.start('server', { reads: 'healthy', backlog: 1 });
  actors['full listener'] = full;
  full.stop();
  for (let index = 0; index < 4; index++)
    await stage.start('client', { port: full.port, bytes: 0, hangs: true });

  const udp = await stage.start('udp');
  actors['udp stopped'] = udp;
  udp.stop();
  await stage.start('datagrams', { port: udp.port, count: 20 });
  const busy = await stage.start('udp');
  actors['udp healthy'] = busy;
  await stage.start('datagrams', { port: busy.port, count: 20, bursts: true });

  for (const reads of ['never', 'slow', 'healthy'] as const) {
    const path = join(dir, `${reads} 12\n.sock`);
    const server = await stage.start('server', { reads, path });
    actors[`unix ${reads}`] = server;
    const client = await stage.start('client', {
      path,
      ...(reads === 'never' ? { bytes: 50_000 } : {}),
    });
    actors[`unix writer to ${reads}`] = client;
  }

  await until(() => queued(stopped.port, 'established').some((bytes) => bytes > 0));
  await until(() => queued(full.port, 'listening').some((connections) => connections > 1));
  await until(() => queued(udp.port, 'unconnected', '-u').some((bytes) => bytes > 0));
  const run = skcheckJson(['--stale', '--interval', '3']);
  ({ report, status } = run);
});

/** What is said of the sockets that an actor holds. */
function saidOf(name: string) {
  const pid = actors[name]?.pid;
  expect(pid).toBeGreaterThan(0);
  return report.sockets.filter(({ holders }) => holders.some((holder) => holder.pid === pid));
}

describe('the reader that stopped is named', () => {
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
    ['udp stopped', 'UDP', /^no process that has it open ran/],
    ['unix never', 'UNIX', /ran in|stood still/],
  ])('%s', (name, protocol, because) => {
    const [socket, ...more] = saidOf(name);
    expect(more).toEqual([]);
    expect(socket).toMatchObject({ protocol, stalled: { verdict: 'stalled-reader' } });
    expect(socket?.stalled.because).toMatch(because);
  });

  test('with what it holds: the bytes that were sent and not read', () => {
    expect(saidOf('tcp6 never')[0]?.unreadBytes).toBe(3000);
    expect(saidOf('unix never')[0]?.unreadBytes).toBe(50_000);
    for (const { pinned, protocol, unreadBytes } of report.sockets)
      if (protocol !== 'UDP') expect(pinned.low).toBeGreaterThanOrEqual(unreadBytes);
  });

  test('with the reason where it can be seen', () => {
    expect(saidOf('tcp stopped')[0]?.stalled.because).toMatch(/stopped \(SIGSTOP\)$/);
    expect(saidOf('tcp never')[0]?.stalled.because).toMatch(/its main thread sleeps/);
  });

  test('and the exit status says that there is one', () => {
    expect(status).toBe(1);
  });
});

describe('the others are not', () => {
  test.each([
    'tcp slow',
    'tcp healthy',
    'tcp idle',
    'full listener',
    'udp healthy',
    'unix slow',
    'unix healthy',
    'unix writer to never',
    'unix writer to healthy',
  ])('%s', (name) => {
    expect(saidOf(name)).toEqual([]);
  });

  test('a slow reader is seen to read', () => {
    const { report: all, status } = skcheckJson([
      '--interval',
      '3',
      '--pid',
      `${actors['tcp slow']?.pid}`,
    ]);
    expect(all.sockets[0]?.stalled).toMatchObject({ verdict: 'reading', certainty: null });
    expect(all.sockets[0]?.stalled.because).toMatch(/^read /);
    expect(status).toBe(0);
  });
});

describe('--pid', () => {
  test('looks at one process, and the exit status is for it alone', () => {
    const { report: one, status } = skcheckJson([
      '--stale',
      '--pid',
      `${actors['tcp never']?.pid}`,
    ]);
    expect(one.sockets.map(({ pid }) => pid)).toEqual([actors['tcp never']?.pid]);
    expect(status).toBe(1);
    const healthy = skcheckJson(['--stale', '--pid', `${actors['tcp idle']?.pid}`]);
    expect(healthy.status).toBe(0);
    expect(healthy.report.totals.sockets).toBeGreaterThan(0);
  });
});

describe('--interval 0', () => {
  test('judges by lastrcv, says so, and is quick', async () => {
    const { report: one } = skcheckJson(['--stale', '--interval', '0']);
    expect(one.host.samples).toBe(1);
    const socket = one.sockets.find(({ pid }) => pid === actors['tcp6 never']?.pid);
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader', certainty: 'likely' });
    expect(socket?.stalled.forMs).toBeGreaterThanOrEqual(1000);
    expect(one.sockets.some(({ pid }) => pid === actors['tcp idle']?.pid)).toBe(false);
    expect(skcheck(['--stale', '--interval', '0']).stdout).toContain('from one sample');
  });
});

test('--min-bytes passes over what is smaller', () => {
  const { report: large } = skcheckJson(['--stale', '--min-bytes', '3001']);
  expect(large.sockets.some(({ pid }) => pid === actors['tcp6 never']?.pid)).toBe(false);
  expect(large.sockets.some(({ pid }) => pid === actors['tcp never']?.pid)).toBe(true);
});

test('the text names them in 100 columns, with nothing that a terminal obeys', () => {
  const { stdout } = skcheck(['--stale']);
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^\d+ of \d+ sockets have stopped reading; they pin about /);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(stdout).toMatch(new RegExp(`^ *${actors['tcp never']?.pid}  node `, 'm'));
  expect(stdout).not.toContain('\u001b');
});
