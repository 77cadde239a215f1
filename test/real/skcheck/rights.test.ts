import { spawnSync } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { commandPath } from '../../support/cli.js';
import { NEW_NETNS, Stage, skcheck, skcheckJson, together } from './stage.js';

/** One second between samples is enough for these tests. */
const SOON = ['--interval', '1'];

const stage = new Stage();
afterAll(() => stage.end());

/** Root without any capability may read the repository, but inspect no other process. */
const POWERLESS = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--'];

describe('without permission to inspect other processes', () => {
  test('finds a stalled socket without its owner, and reports both', async () => {
    const { server } = await stage.pair({}, { bytes: 5000 });
    const { report, status, stderr } = skcheckJson([...SOON, '--stale'], POWERLESS);
    const socket = report.sockets.find(({ local }) => local === `127.0.0.1:${server.port}`);
    expect(socket).toMatchObject({ pid: null, comm: null, holders: [], unreadBytes: 5000 });
    expect(socket?.stalled.verdict).toBe('stalled-reader');
    const warning = report.warnings.find(({ code }) => code === 'owner-unknown');
    expect(warning?.count).toBeGreaterThanOrEqual(1);
    expect(stderr).toMatch(
      /owner unknown for .* not visible to this user\. Already root, but without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, as in a container/,
    );
    expect(status).toBe(1);
    const seen = skcheckJson([...SOON, '--stale']).report;
    expect(seen.sockets.find(({ inode }) => inode === socket?.inode)?.pid).toBe(server.pid);
  });

  test('--pid of a process that may not be inspected is status 3', async () => {
    const server = await stage.start('server', { reads: 'healthy' });
    const run = skcheck([...SOON, '--stale', '--pid', `${server.pid}`], POWERLESS);
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: .*: permission denied\. Already root: a capability .*\n$/);
  });
});

describe('network namespaces', () => {
  test('only its own on request: its sockets, with their owner, and no others', async () => {
    const [{ server }, { server: outside }] = await Promise.all([
      stage.pair({}, { bytes: 5000 }, NEW_NETNS),
      stage.pair({}, { bytes: 6000 }),
    ]);
    const enter = NEW_NETNS.enter(server);
    const { report } = skcheckJson([...SOON, '--stale', '--netns', 'own'], enter);
    const tcp = report.sockets.filter(({ protocol }) => protocol === 'TCP');
    expect(tcp.map(({ pid, unreadBytes }) => ({ pid, unreadBytes }))).toEqual([{ pid: server.pid, unreadBytes: 5000 }]);
    expect(tcp[0]?.netns).toBe(netnsOf(server.pid));
    const { report: here } = skcheckJson([...SOON, '--stale', '--netns', 'own']);
    expect(here.sockets.some(({ pid }) => pid === server.pid)).toBe(false);
    expect(here.sockets.some(({ pid }) => pid === outside.pid)).toBe(true);
    // Without CAP_SYS_ADMIN other namespaces cannot be entered, which is reported.
    const { report: poor } = skcheckJson([...SOON, '--netns', 'all'], POWERLESS);
    expect(poor.sockets.some(({ netns }) => netns === netnsOf(server.pid))).toBe(false);
    expect(poor.complete).toBe(false);
  });

  test('outside the user’s view are no all-clear', async () => {
    const { server } = await stage.pair({}, { bytes: 7000 }, NEW_NETNS);
    // It may enter namespaces, but cannot see them.
    const blind = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace', '--'];
    const { report, stderr } = skcheckJson([...SOON, '--netns', 'all'], blind);
    expect(report.sockets.some(({ netns }) => netns === netnsOf(server.pid))).toBe(false);
    expect(report.complete).toBe(false);
    expect(report.warnings.map(({ code }) => code)).toContain('netns-hidden');
    expect(stderr).toMatch(/were not scanned\. Already root, but without CAP_SYS_PTRACE, as/);
    const nothing = skcheck([...SOON, '--stale', '--dport', '1'], blind);
    expect(nothing.status).toBe(3);
    // A snapshot by the same user reports that to its reader.
    const file = join(mkdtempSync(join(tmpdir(), 'rights-')), 'blind.tar.gz');
    const ours = [process.execPath, commandPath('kdump-mem'), 'snapshot'];
    const script = spawnSync(ours[0]!, [...ours.slice(1), '--script']).stdout;
    for (const [input, snapshotCommand] of [
      [undefined, [...ours, '-o', file]],
      [script, ['sh', '-s', '--', file]],
    ] as const) {
      const [command = '', ...rest] = [...blind, ...snapshotCommand];
      expect(spawnSync(command, rest, { input }).status).toBe(0);
      const captured = skcheckJson(['--from', file]).report;
      expect(captured.complete).toBe(false);
      expect(captured.warnings.map(({ code }) => code)).toContain('netns-hidden');
      rmSync(file);
    }
    rmSync(dirname(file), { recursive: true });
  });

  test('all of them for root, each socket with its namespace', async () => {
    const { server } = await stage.pair({}, { bytes: 7000 }, NEW_NETNS);
    const names = [`${server.pid}`, `${netnsOf(server.pid)}`, `/proc/${server.pid}/ns/net`];
    const [all, ...each] = await together(
      [...SOON, '--stale'],
      ...names.map((which) => [...SOON, '--stale', '--netns', which]),
    );
    const report = all!.report;
    const socket = report.sockets.find(({ pid }) => pid === server.pid);
    expect(socket).toMatchObject({ unreadBytes: 7000, netns: netnsOf(server.pid) });
    expect(socket?.stalled).toMatchObject({ verdict: 'stalled-reader', certainty: 'proved' });
    expect(report.host.namespaces).toBeGreaterThanOrEqual(2);
    for (const { report: one } of each) {
      expect(one.host.namespaces).toBe(1);
      expect(one.sockets.map(({ pid }) => pid)).toContain(server.pid);
    }
  });

  test('a mounted one, by its name', async () => {
    const name = `skcheck-${process.pid}`;
    run('ip', 'netns', 'add', name);
    try {
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
      const enter = ['nsenter', `--net=/run/netns/${name}`];
      const place = { around: enter, enter: () => enter };
      const { server } = await stage.pair({}, { bytes: 9000 }, place);
      const { report } = skcheckJson([...SOON, '--stale', '--netns', name]);
      expect(report.sockets).toMatchObject([{ pid: server.pid, unreadBytes: 9000, netnsName: name }]);
      expect(skcheck([...SOON, '--stale', '-v']).stdout.replace(/\s+/g, ' ')).toContain(`in netns ${name}`);
    } finally {
      run('ip', 'netns', 'delete', name);
    }
  });
});

test('in a pid namespace: the pid outside, and the one inside', async () => {
  const around = ['unshare', '-p', '-f', '--mount-proc'];
  const { server } = await stage.pair({}, { bytes: 5000 }, { around });
  const { report } = skcheckJson([...SOON, '--stale', '--sport', `${server.port}`]);
  expect(report.sockets.length).toBe(1);
  const [holder] = report.sockets[0]?.holders ?? [];
  expect(holder?.nsPids).toEqual([holder?.pid, 1]);
  const { stdout } = skcheck([...SOON, '--stale', '-v', '--sport', `${server.port}`]);
  expect(stdout.replace(/\s+/g, ' ')).toContain('in pid 1 inside');
});

function netnsOf(pid: number): number {
  return Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0]);
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
