import { readlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Stage, skcheck, skcheckJson } from './stage.js';

const stage = new Stage();
afterAll(() => stage.end());

/** Root without any capability may read the repository and look into no other process. */
const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];

describe('without the right to look into other processes', () => {
  test('a stalled socket is found, its owner is missing, and both are said', async () => {
    const server = await stage.start('server', { reads: 'never' });
    await stage.start('client', { port: server.port, bytes: 5000 });
    const { report, status, stderr } = skcheckJson(['--stale'], POWERLESS);
    const socket = report.sockets.find(({ local }) => local === `127.0.0.1:${server.port}`);
    expect(socket).toMatchObject({ pid: null, comm: null, holders: [], unreadBytes: 5000 });
    expect(socket?.stalled.verdict).toBe('stalled-reader');
    const warning = report.warnings.find(({ code }) => code === 'owner-unknown');
    expect(warning?.count).toBeGreaterThanOrEqual(1);
    expect(stderr).toMatch(/without an owner: .* not shown to this user\. Run as root/);
    expect(status).toBe(1);
    const seen = skcheckJson(['--stale']).report;
    expect(seen.sockets.find(({ inode }) => inode === socket?.inode)?.pid).toBe(server.pid);
  });

  test('asking for a process that may not be looked into is status 3', async () => {
    const server = await stage.start('server', { reads: 'healthy' });
    const run = skcheck(['--stale', '--pid', `${server.pid}`], POWERLESS);
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: .*may not be read\. Run as root.*\n$/);
  });
});

describe('in a network namespace', () => {
  test('its sockets are seen, with their owner, and no others', async () => {
    const inside = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
    const server = await stage.start('server', { reads: 'never' }, inside);
    const enter = ['nsenter', `--net=/proc/${server.pid}/ns/net`];
    await stage.start('client', { port: server.port, bytes: 5000 }, enter);
    const outside = await stage.start('server', { reads: 'never' });
    await stage.start('client', { port: outside.port, bytes: 6000 });

    const { report } = skcheckJson(['--stale'], enter);
    const tcp = report.sockets.filter(({ protocol }) => protocol === 'TCP');
    expect(tcp.map(({ pid, unreadBytes }) => ({ pid, unreadBytes }))).toEqual([
      { pid: server.pid, unreadBytes: 5000 },
    ]);
    const netns = Number(/\d+/.exec(readlinkSync(`/proc/${server.pid}/ns/net`))?.[0]);
    expect(tcp[0]?.netns).toBe(netns);
    const { report: here } = skcheckJson(['--stale']);
    expect(here.sockets.some(({ pid }) => pid === server.pid)).toBe(false);
    expect(here.sockets.some(({ pid }) => pid === outside.pid)).toBe(true);
  });
});
