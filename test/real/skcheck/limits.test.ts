import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { skcheck, skcheckJson } from './stage.js';

// tcp_max_tw_buckets is per network namespace. The other limits apply to the machine: guest.test.ts
// lowers them in a guest.

/** Opens and closes some connections; the end that closes first stays in TIME-WAIT. */
const CLOSE_SOME = `use IO::Socket::INET;
my $l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die;
for (1 .. shift) {
  my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $l->sockport) or die;
  my $s = $l->accept or die;
  close $c;
  sysread $s, my $end, 1;
  close $s;
}`;

const CLOSE_IN = [
  'ip link set lo up',
  'limit=$1 program=$2 count=$3; shift 3',
  'echo "$limit" > /proc/sys/net/ipv4/tcp_max_tw_buckets',
  'perl -e "$program" "$count" && exec "$@"',
].join('; ');

/** The TIME-WAIT warning with a limit of 10, after `count` connections were closed. */
function timeWait(count: number) {
  const inside = ['unshare', '-n', 'sh', '-c', CLOSE_IN, 'sh', '10', CLOSE_SOME, `${count}`];
  const { report } = skcheckJson(['--interval', '0', '--netns', 'own'], inside);
  return report.warnings.find(({ code }) => code === 'time-wait');
}

test('warns of TIME-WAIT near its limit', () => {
  expect(timeWait(9)).toEqual({
    code: 'time-wait',
    count: 9,
    message: '9 TCP sockets in TIME-WAIT, near or over tcp_max_tw_buckets (10)',
  });
});

test('does not warn far from the limit', () => {
  expect(timeWait(5)).toBeUndefined();
});

describe('in other network namespaces', () => {
  const [near, far] = [`skcheck-near-${process.pid}`, `skcheck-far-${process.pid}`];
  const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
  const run = (command: string, ...args: string[]) =>
    expect(spawnSync(command, args, { encoding: 'utf8' })).toMatchObject({ status: 0 });

  // After a minute nothing is left in TIME-WAIT: each test has its own connections.
  beforeEach(() => {
    for (const [name, limit] of [
      [near, '130'],
      [far, '1000'],
    ] as const) {
      run('ip', 'netns', 'add', name);
      const inside = ['netns', 'exec', name, 'sh', '-c', CLOSE_IN, 'sh', limit, CLOSE_SOME, '120'];
      run('ip', ...inside, 'true');
    }
  });
  afterEach(() => {
    for (const name of [near, far]) run('ip', 'netns', 'del', name);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const ours = (args: string[]) =>
    skcheckJson(args)
      .report.warnings.filter(({ code }) => code === 'time-wait')
      .filter(({ message }) => message.includes(near) || message.includes(far));
  const warning = {
    code: 'time-wait',
    count: 120,
    message: `120 TCP sockets in TIME-WAIT in network namespace ${near}, near or over tcp_max_tw_buckets (130)`,
  };

  test('names the namespace near its limit', () => {
    expect(ours(['--interval', '0'])).toEqual([warning]);
    expect(ours(['--interval', '0', '--netns', near])).toEqual([warning]);
    expect(ours(['--interval', '0', '--netns', far])).toEqual([]);
  });

  test('reports the same from a capture, for a namespace with a process', () => {
    const file = join(dir, 'host.tar.gz');
    const inside = ['netns', 'exec', near, process.execPath, '-e', 'setTimeout(() => {}, 60000)'];
    const resident = spawn('ip', inside, { stdio: 'ignore' });
    try {
      expect(skcheck(['--interval', '0.5', '--capture', file])).toMatchObject({ status: 0 });
    } finally {
      resident.kill('SIGKILL');
    }
    expect(ours(['--from', file])).toEqual([warning]);
    // The other one was not captured, and does not hide the warning.
    const codes = skcheckJson(['--from', file]).report.warnings.map(({ code }) => code);
    expect(codes).not.toContain('without-ss');
  });
});
