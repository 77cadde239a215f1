import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ProcessFdsJson } from '../../../src/answers/process/schema.js';
import { readDescriptors } from '../../../src/host/proc/descriptors.js';
import { kdumpMem } from '../../support/cli.js';
import { madeSource } from '../../support/made-host.js';

const fds = (links: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(links).map(([fd, link]) => [`/proc/7/fd/${fd}`, link]));

test('descriptors by kind, each object’s bytes once, watches counted', () => {
  const links = fds({
    0: '/dev/null',
    1: '/var/log/x.log (deleted)',
    2: '/var/log/x.log (deleted)',
    3: 'socket:[77]',
    4: 'pipe:[78]',
    5: 'anon_inode:[eventpoll]',
    6: 'anon_inode:inotify',
    7: 'anon_inode:bpf-map',
    8: 'anon_inode:bpf-map',
    9: '/dmabuf:frame',
    10: 'anon_inode:[new-kind]',
    11: '/etc/passwd',
  });
  const files = {
    '/proc/7/comm': 'app\n',
    '/proc/7/limits': 'Max open files            1024     4096     files\n',
    '/proc/7/fdinfo/5': 'pos:\t0\ntfd:  3 events: 19\ntfd:  4 events: 19\n',
    '/proc/7/fdinfo/6': 'inotify wd:1 ino:2\n',
    '/proc/7/fdinfo/7': 'map_type:\t1\nmemlock:\t8192\nmap_id:\t5\n',
    '/proc/7/fdinfo/8': 'map_type:\t1\nmemlock:\t8192\nmap_id:\t5\n',
    '/proc/7/fdinfo/9': 'size:\t65536\ncount:\t2\n',
  };
  const found = readDescriptors(madeSource({ files, links }), 7);
  expect(found).toMatchObject({ pid: 7, comm: 'app', count: 12, limit: 1024, unreadable: 0 });
  const by = Object.fromEntries(found.groups.map(({ kind, ...rest }) => [kind, rest]));
  expect(by).toMatchObject({
    bpf: { count: 2, bytes: 8192 },
    'deleted-file': { count: 2, names: [{ name: '/var/log/x.log (deleted)', count: 2 }] },
    device: { count: 1, bytes: null, items: null },
    epoll: { items: 2 },
    inotify: { items: 1 },
    'dma-buf': { bytes: 65_536 },
    other: { names: [{ name: 'new-kind', count: 1 }] },
    file: { count: 1 },
  });
  expect(found.groups.map(({ count }) => count)).toEqual(
    found.groups.map(({ count }) => count).toSorted((a, b) => b - a),
  );
});

test.skipIf(!existsSync('/proc/self/fdinfo'))(
  'a real process: counts equal its links, a memfd has its bytes',
  async () => {
    const code = `my $n = 'held'; my $m = syscall 319, $n, 0; syscall 285, $m, 0, 0, 3 * 2**20;
      my @k; for (1 .. 40) { pipe my $r, my $w; push @k, $r, $w } $| = 1; print "ready\\n"; sleep 60`;
    const child = spawn('perl', ['-e', code]);
    try {
      await once(child.stdout, 'data');
      const { stdout } = await kdumpMem(
        'procs',
        '--live',
        '--pid',
        `${child.pid}`,
        '--fds',
        '--json',
      );
      const answer = JSON.parse(stdout) as ProcessFdsJson;
      const links = readdirSync(`/proc/${child.pid}/fd`).map((fd) =>
        readlinkSync(`/proc/${child.pid}/fd/${fd}`),
      );
      expect(answer).toMatchObject({ count: links.length, comm: 'perl', complete: true });
      const group = (kind: string) => answer.groups.find((one) => one.kind === kind);
      expect(group('pipe')?.count).toBe(links.filter((link) => link.startsWith('pipe:')).length);
      expect(group('memfd')).toMatchObject({ count: 1, bytes: 3 * 2 ** 20 });
      const limit = /^Max open files +(\d+)/m.exec(
        readFileSync(`/proc/${child.pid}/limits`, 'utf8'),
      );
      expect(answer.limit).toBe(Number(limit?.[1]));
      const text = await kdumpMem('procs', '--live', '--pid', `${child.pid}`, '--fds');
      expect(text.stdout).toMatch(/^pid \d+ \(perl\) has \d+ descriptors open/);
      expect(text.stdout).toMatch(/^memfd +1 +3\.00 MiB +- +memfd:held \(1\)$/m);
    } finally {
      child.kill('SIGKILL');
    }
  },
);

test('usage: it needs --pid, a process that exists, and no capture', async () => {
  expect(await kdumpMem('procs', '--live', '--fds')).toMatchObject({ status: 2 });
  const captured = await kdumpMem('procs', '--from', 'fixtures/host', '--pid', '1', '--fds');
  expect(captured).toMatchObject({ status: 2, stdout: '' });
  const gone = await kdumpMem('procs', '--live', '--pid', '4194303', '--fds');
  expect(gone).toMatchObject({ status: 4, stdout: '' });
});
