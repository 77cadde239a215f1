import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hostProcess } from '../../../src/account/processes/host.js';
import { descriptorsAnswer } from '../../../src/account/processes/process.js';
import { descriptorsBlocks } from '../../../src/answers/process/document.js';
import { blockTexts } from '../../../src/answers/text/blocks.js';
import type { DescriptorsAnswer } from '../../../src/contracts/process.js';
import { fileSystemsOf, parseSmaps, readDescriptors, readMappings } from '../../../src/host/proc/process-files.js';
import { kdumpMem } from '../../support/cli.js';
import { madeSource } from '../../support/made-host.js';
import { FakeHost } from '../fake-host.js';

const mapping = (header: string, flags = 'rd wr mr mw me ac') =>
  [
    header,
    'Size:               1000 kB',
    'Rss:                 100 kB',
    'Pss:                  60 kB',
    'Shared_Clean:         48 kB',
    'Shared_Dirty:          4 kB',
    'Private_Clean:         8 kB',
    'Private_Dirty:        40 kB',
    `VmFlags: ${flags}`,
    '',
  ].join('\n');

const MOUNTS = fileSystemsOf(
  [
    '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '25 22 0:24 / /run rw,nosuid shared:2 - tmpfs tmpfs rw',
  ].join('\n'),
);
const parsed = (...texts: string[]) => parseSmaps(texts.join(''), MOUNTS);

describe('mappings in /proc/PID/smaps', () => {
  test('are reported with the values of their lines, missing values as unknown', () => {
    expect(parsed(mapping('7f00a000-7f104000 r-xp 00002000 08:01 131 /usr/lib/a b (x).so'))).toEqual([
      expect.objectContaining({
        start: 0x7f00a000n,
        end: 0x7f104000n,
        permissions: 'r-xp',
        offset: 0x2000n,
        path: '/usr/lib/a b (x).so',
        kind: 'file',
        rssBytes: 102_400,
        pssBytes: 61_440,
        privateDirtyBytes: 40_960,
        sharedCleanBytes: 49_152,
        swapBytes: null,
        lockedBytes: null,
      }),
    ]);
  });

  test.each([
    ['a file on a disk', '08:01 131 /srv/x', 'rd', 'file'],
    ['a file on tmpfs', '00:18 7 /run/x', 'rd', 'shmem'],
    ['memfd', '00:01 7 /memfd:x (deleted)', 'rd', 'memfd'],
    ['a file on a disk that is named like a memfd', '08:01 7 /memfd:x (deleted)', 'rd', 'file'],
    ['a System V segment', '00:01 7 /SYSV00000000 (deleted)', 'rd', 'sysv'],
    ['memory shared with children', '00:01 7 /dev/zero (deleted)', 'rd', 'shared-anonymous'],
    ['hugetlb', '00:0f 7 /anon_hugepage (deleted)', 'rd ht', 'hugetlb'],
    ['a device', '00:05 7 /dev/dri/card0', 'rd io', 'device'],
    ['nothing', '00:00 0', 'rd', 'anonymous'],
    ['a named anonymous mapping', '00:00 0 [anon:/memfd:x]', 'rd', 'anonymous'],
    ['the vdso', '00:00 0 [vdso]', 'rd', 'vdso'],
    ['an io_uring', '00:0e 7 anon_inode:[io_uring]', 'rd', 'kernel'],
  ])('recognize %s by kind', (_what, rest, flags, kind) => {
    expect(parsed(mapping(`1000-2000 rw-s 00000000 ${rest}`, flags))[0]?.kind).toBe(kind);
  });

  test('ignore a name that looks like a field', () => {
    const [one, ...others] = parsed(mapping('1000-2000 rw-p 00000000 08:01 1 /x\\012Rss: 9 kB'));
    expect(one?.path).toBe('/x\\012Rss: 9 kB');
    expect(one?.rssBytes).toBe(102_400);
    expect(others).toEqual([]);
  });

  test.each(['\r', '\u2028', '\u2029'])('do not end a line at %j in a name', (end) => {
    const [anonymous, file] = parsed(
      mapping('1000-2000 rw-p 00000000 00:00 0').replace('100 kB', '900 kB'),
      mapping(`3000-4000 r--p 00000000 08:01 1 /x${end}y`),
    );
    expect(anonymous).toMatchObject({ rssBytes: 921_600, path: null });
    expect(file).toMatchObject({ rssBytes: 102_400, path: `/x${end}y`, kind: 'file' });
  });

  test('make the answer incomplete if lines are of an unknown form', async () => {
    const good = mapping('1000-2000 rw-p 00000000 00:00 0');
    const answerOf = async (text: string) => {
      const host = new FakeHost();
      host.files.set('/proc/7/stat', '7 (x) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 3 0 50 1 2 3\n');
      host.files.set('/proc/7/status', 'Name:\tx\nThreads:\t1\nVmRSS:\t 100 kB\n');
      host.files.set('/proc/7/smaps', text);
      const found = await readMappings(host, 7);
      if (typeof found === 'string') throw new Error(found);
      return hostProcess(found.process, found.mappings);
    };
    expect(await answerOf(good)).toMatchObject({ complete: true, warnings: [] });
    const strange = mapping('3000-4000 rw-p 00000000 0000 0 what');
    for (const text of [good + strange, `${good}Rss: 1 kB\n`]) {
      const { complete, warnings } = await answerOf(text);
      expect(complete).toBe(false);
      expect(warnings[0]?.message).toMatch(/^unsupported or malformed smaps: rss/);
    }
  });

  test('return nothing for a process that exits between its status and its mappings', async () => {
    const host = new FakeHost();
    host.files.set('/proc/7/stat', '7 (x) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 3 0 50 1 2 3\n');
    host.files.set('/proc/7/status', 'Name:\tx\nUid:\t0\t0\t0\t0\nVmRSS:\t     104 kB\nThreads:\t1\n');
    host.files.set('/proc/7/smaps', '');
    expect(await readMappings(host, 7)).toBe('gone');
    host.files.set('/proc/7/smaps', mapping('1000-2000 rw-p 00000000 00:00 0'));
    expect(await readMappings(host, 7)).toMatchObject({ mappings: [{ kind: 'anonymous' }] });
    expect(await readMappings(host, 8)).toBe('gone');
  });
});

const fds = (links: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(links).map(([fd, link]) => [`/proc/7/fd/${fd}`, link]));

test('counts descriptors by kind, the bytes of each object once, and watches', () => {
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
    '/proc/7/fdinfo/3': 'pos:\t0\nscm_fds: 20\n',
    '/proc/7/fdinfo/5': 'pos:\t0\ntfd:  3 events: 19\ntfd:  4 events: 19\n',
    '/proc/7/fdinfo/6': 'inotify wd:1 ino:2\n',
    '/proc/7/fdinfo/7': 'map_type:\t1\nmemlock:\t8192\nmap_id:\t5\n',
    '/proc/7/fdinfo/8': 'map_type:\t1\nmemlock:\t8192\nmap_id:\t5\n',
    '/proc/7/fdinfo/9': 'size:\t65536\ncount:\t2\n',
  };
  const found = readDescriptors(madeSource({ files, links }), 7);
  expect(found).toMatchObject({ pid: 7, comm: 'app', count: 12, limit: 1024, passed: 20, unreadable: 0 });
  const text = blockTexts(descriptorsBlocks(descriptorsAnswer(found)), null).join('\n\n');
  expect(text).toContain('It has not received 20 passed descriptors (SCM_RIGHTS): their files stay open.');
  const older = readDescriptors(madeSource({ files: { ...files, '/proc/7/fdinfo/3': 'pos:\t0\n' }, links }), 7);
  expect(older.passed).toBeNull();
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
  'counts the links of a real process, and the bytes of its memfd',
  async () => {
    const code = `my $n = 'held'; my $m = syscall 319, $n, 0; syscall 285, $m, 0, 0, 3 * 2**20;
      my @k; for (1 .. 40) { pipe my $r, my $w; push @k, $r, $w } $| = 1; print "ready\\n"; sleep 60`;
    const child = spawn('perl', ['-e', code]);
    try {
      await once(child.stdout, 'data');
      const { stdout } = await kdumpMem('procs', '--live', '--pid', `${child.pid}`, '--fds', '--json');
      const answer = JSON.parse(stdout) as DescriptorsAnswer;
      const links = readdirSync(`/proc/${child.pid}/fd`).map((fd) => readlinkSync(`/proc/${child.pid}/fd/${fd}`));
      expect(answer).toMatchObject({ count: links.length, comm: 'perl', complete: true });
      const group = (kind: string) => answer.groups.find((one) => one.kind === kind);
      expect(group('pipe')?.count).toBe(links.filter((link) => link.startsWith('pipe:')).length);
      expect(group('memfd')).toMatchObject({ count: 1, bytes: 3 * 2 ** 20 });
      const limit = /^Max open files +(\d+)/m.exec(readFileSync(`/proc/${child.pid}/limits`, 'utf8'));
      expect(answer.limit).toBe(Number(limit?.[1]));
      const text = await kdumpMem('procs', '--live', '--pid', `${child.pid}`, '--fds');
      expect(text.stdout).toMatch(/^pid \d+ \(perl\) has \d+ descriptors open/);
      expect(text.stdout).toMatch(/^memfd +1 +3\.00 MiB +- +memfd:held \(1\)$/m);
    } finally {
      child.kill('SIGKILL');
    }
  },
);

test('refuses --fds without --pid, a process that does not exist, and a capture', async () => {
  expect(await kdumpMem('procs', '--live', '--fds')).toMatchObject({ status: 2 });
  const captured = await kdumpMem('procs', '--from', 'fixtures/host', '--pid', '1', '--fds');
  expect(captured).toMatchObject({ status: 2, stdout: '' });
  const gone = await kdumpMem('procs', '--live', '--pid', '4194303', '--fds');
  expect(gone).toMatchObject({ status: 4, stdout: '' });
});
