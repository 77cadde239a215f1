import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SocketRecord } from '../../../src/host/socket.js';
import { InetScan } from '../../../src/host/ss/inet.js';
import { UnixScan } from '../../../src/host/ss/unix.js';
import { type Actor, NEW_NETNS, Stage, skcheck, skcheckJson } from './stage.js';

/** One second between samples is enough for these tests. */
const SOON = ['--interval', '1'];
const PATH = process.env.PATH ?? '';

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

let readers: Actor[];
let enter: string[];
beforeAll(async () => {
  const tcp = await stage.pair({ host: '::' }, { bytes: 6000, host: '::1' }, NEW_NETNS);
  enter = NEW_NETNS.enter(tcp.server);
  const place = { around: enter, enter: () => enter };
  const unix = await stage.pair({ path: join(dir, 'a 5 b.sock') }, { bytes: 7000 }, place);
  const sender = await stage.pair({}, {}, place);
  const udp = await stage.start('udp', {}, enter);
  await stage.start('datagrams', { port: udp.port, count: 20 }, enter);
  readers = [tcp.server, unix.server, sender.server];
});

/**
 * The real ss of this machine, wrapped to reject what an older one did not support, with its
 * messages.
 */
function olderSs(name: string, { options, tables, usage }: Older) {
  const place = join(dir, name);
  mkdirSync(place);
  const script = [
    '#!/bin/sh',
    `refuse() { echo "$1" >&2; ${usage === 'stdout' ? 'echo "Usage: ss [ OPTIONS ]"; exit 0' : 'echo "Usage: ss [ OPTIONS ]" >&2; exit 255'}; }`,
    'for arg in "$@"; do',
    '  case $arg in',
    ...options.map(
      (option) => `    -${option} | -[A-Z]*${option}* | -${option}*) refuse "ss: invalid option -- '${option}'" ;;`,
    ),
    '    -*) ;;',
    ...tables.map(
      (table) => `    ${table} | *,${table} | *,${table},*) refuse 'ss: "${table}" is illegal socket table id' ;;`,
    ),
    '  esac',
    'done',
    `PATH='${PATH}' exec ss "$@"`,
  ].join('\n');
  writeFileSync(join(place, 'ss'), `${script}\n`);
  chmodSync(join(place, 'ss'), 0o755);
  return { PATH: `${place}:${PATH}` };
}

/** Includes names of unix sockets, and allows any temporary folder. */
const ALL = ['--with', 'unix-paths', '--tmpfs'];

interface Older {
  readonly options: readonly string[];
  readonly tables: readonly string[];
  readonly usage: 'stdout' | 'stderr';
}

/**
 * Without the machine's memory at that moment, which bounds sockets without a bound of their own.
 */
const bounded = <P extends { atMost: number | null }>(pinned: P) => ({ ...pinned, high: pinned.atMost });

/** Entries of our readers, without fields that differ between two scans. */
function ours(env: NodeJS.ProcessEnv, ...args: string[]) {
  const { report, stderr } = skcheckJson(args, args.includes('--from') ? [] : enter, env);
  const pids = readers.map(({ pid }) => pid);
  return {
    stderr,
    report,
    sockets: report.sockets
      .filter(({ pid }) => pid !== null && pids.includes(pid))
      .map(({ stalled, skmem, pinned, localPeer, ...socket }) => ({
        ...socket,
        pinned: bounded(pinned),
        localPeer: localPeer && { ...localPeer, pinned: bounded(localPeer.pinned) },
        // Window probes are dropped now and then.
        skmem: { ...skmem, d: typeof skmem?.d },
        verdict: stalled.verdict,
      })),
  };
}

describe.each([
  ['of Debian 10', { options: ['O'], tables: ['mptcp'], usage: 'stderr' }, 'mptcp'],
  ['of CentOS 7', { options: ['O'], tables: ['vsock_stream', 'mptcp'], usage: 'stderr' }, 'vsock, mptcp'],
  [
    'that lacks -H as well',
    { options: ['H', 'O'], tables: ['vsock_stream', 'mptcp', 'sctp'], usage: 'stdout' },
    'vsock, mptcp, sctp',
  ],
] as const)('an ss %s', (name, older, missing) => {
  let env: NodeJS.ProcessEnv;
  beforeAll(() => {
    env = olderSs(name, older);
  });

  test('gives the same answer as the current one, and reports missing facts', () => {
    const now = ours({}, ...SOON, '--netns', 'own');
    expect(now.sockets.map(({ protocol, verdict }) => `${protocol} ${verdict}`).sort()).toEqual([
      'TCP stalled-reader',
      'TCP stalled-reader',
      'UNIX stalled-reader',
    ]);
    const then = ours(env, ...SOON, '--netns', 'own');
    expect(then.sockets).toEqual(now.sockets);
    expect(now.stderr).not.toMatch(/does not support|malformed/);
    expect(then.stderr).not.toMatch(/malformed/);
    expect(then.stderr).toContain(`lists none of them: ${missing}.\n`);
  });

  test('also in captures', () => {
    const script = join(dir, 'capture.sh');
    const file = join(dir, `${name}.tar.gz`);
    writeFileSync(script, skcheck(['--capture-script']).stdout);
    const [command = '', ...args] = [...enter, 'sh', script, ...ALL, file, '1'];
    const capture = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
    expect(capture).toMatchObject({ status: 0, stderr: '' });
    const then = ours({}, '--from', file, '--netns', 'own');
    expect(then.sockets).toEqual(ours({}, ...SOON, '--netns', 'own').sockets);
    expect(then.stderr).toContain(`lists none of them: ${missing}.\n`);
  });
});

test('every row of the real ss reads the same with -O and without', () => {
  // Only times change there.
  const still = (socket: SocketRecord) => ({
    ...socket,
    timer: socket.timer?.kind,
    tcp: { ...socket.tcp, lastReceivedMs: 0, lastSentMs: 0 },
  });
  for (const [family, scan] of [
    [['-t', '-u', '-w', '-i'], scanInet],
    [['-x'], scanUnix],
  ] as const) {
    const read = (options: string[]) => {
      const [command = '', ...args] = [...enter, 'ss', ...options, '-nema', ...family];
      const { stdout } = spawnSync(command, args);
      const { sockets, total, unreadable } = scan(stdout);
      return { sockets: sockets.map(still), total, unreadable };
    };
    const today = read(['-H', '-O']);
    expect(today.sockets.length).toBeGreaterThanOrEqual(1);
    expect(today.unreadable).toBe(0);
    expect(read(['-H'])).toEqual(today);
    expect(read([])).toEqual(today);
  }
});

function scanInet(bytes: Buffer) {
  const scan = new InetScan(1);
  scan.push(bytes);
  scan.end();
  return scan;
}

function scanUnix(bytes: Buffer) {
  const scan = new UnixScan(1);
  scan.push(bytes);
  return scan.end();
}

test('an ss without a required option is reported once', () => {
  const env = olderSs('broken', { options: ['m'], tables: [], usage: 'stderr' });
  const run = skcheck(['--stale'], [], env);
  expect(run).toMatchObject({ status: 3, stdout: '' });
  expect(run.stderr).toMatch(/^skcheck: ss failed with status 255: ss: invalid option -- 'm'\. /);
});
