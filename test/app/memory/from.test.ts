import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cksum } from '../../../src/capture/read/tar.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { kdumpMem } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';
import { meminfo } from '../../support/snapshot.js';

const folder = scratchFolder('memory-from-');

const auxv = Buffer.alloc(32);
auxv.writeBigUInt64LE(6n, 0);
auxv.writeBigUInt64LE(16_384n, 8);

const MEMINFO = meminfo({
  MemTotal: 1_024_000,
  MemFree: 400_000,
  Cached: 200_000,
  Shmem: 50_000,
  AnonPages: 100_000,
  KernelStack: 4096,
  Slab: 80_000,
  SReclaimable: 30_000,
  SUnreclaim: 50_000,
});
const GROWN = MEMINFO.replace(/(AnonPages: +)100000/, '$1300000');
const ZONEINFO = `Node 0, zone   Normal
        min      100
        low      200
        high     300
        present  65536
        managed  64000
    cpu: 0
              count: 10
`;

/** A capture as the script writes it, except for the given files. */
function captured(name: string, files: Readonly<Record<string, string | Buffer>>): string {
  const path = join(folder, name);
  const all = {
    version: '2\n',
    taken: '2026-01-02T03:04:05Z\n',
    'sample-1/began': '100.00 1.00\n',
    'sample-1/ended': '101.00 1.00\n',
    'sample-2/began': '103.00 1.00\n',
    'sample-2/ended': '104.00 1.00\n',
    'sample-1/before': '',
    'sample-1/namespaces': '',
    'sample-1/descriptors': '',
    'files-in-memory': 'end 0\n',
    'proc/meminfo': MEMINFO,
    'proc/zoneinfo': ZONEINFO,
    'proc/self/auxv': auxv,
    'proc/sys/kernel/hostname': 'a\u001b[31mhost\n',
    'proc/sys/kernel/osrelease': '6.1.0-1-arm64\n',
    ...files,
  };
  const lines = Object.entries(all).map(([file, content]) => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), content);
    const bytes = Buffer.from(content);
    return `${cksum(bytes)} ${bytes.length} ./${file}`;
  });
  if (!('manifest' in files)) writeFileSync(join(path, 'manifest'), `${lines.join('\n')}\nwhole ${lines.length}\n`);
  return path;
}

const answerOf = async (path: string) => {
  const { stdout, stderr, status } = await kdumpMem('memory', '--json', '--from', path);
  expect([status, stderr]).toEqual([0, '']);
  return memorySchema.parse(JSON.parse(stdout));
};

describe('memory --from', () => {
  test('reports the host’s memory from its counters, with its own page size', async () => {
    const answer = await answerOf(captured('whole', {}));
    expect(answer).toMatchObject({
      source: 'counters',
      kernel: null,
      complete: false,
      warnings: [],
      host: { release: '6.1.0-1-arm64', pageSize: 16_384 },
      captured: { host: 'a\u001b[31mhost', takenAt: '2026-01-02T03:04:05.000Z' },
    });
    expect(answer.memory.bytes).toBe(65_536 * 16_384);
    const categories = new Map(
      answer.memory.children.flatMap(({ children }) => children.map((child) => [child.category, child.bytes])),
    );
    expect(categories.get('anonymous')).toBe(100_000 * 1024);
    expect(categories.get('shared')).toBe(50_000 * 1024);
    expect(categories.get('page-cache')).toBe(150_000 * 1024);
    expect(categories.get('reserved-other')).toBe(1536 * 16_384);
    expect(categories.get('free-cpu-lists')).toBe(10 * 16_384);
  });

  test('names processes with much anonymous memory, as an upper bound', async () => {
    const status = (pid: number, anon: number) => ({
      [`proc/${pid}/status`]: `Name:\tworker ${pid}\nState:\tS (sleeping)\nPPid:\t1\nFDSize:\t64\nVmRSS:\t${anon + 8} kB\nRssAnon:\t${anon} kB\nRssFile:\t8 kB\nRssShmem:\t0 kB\nThreads:\t1\n`,
    });
    // A twentieth of it is little. A process that grew since the counters were read has at most all.
    const init = { 'proc/1/status': 'Name:\tinit\nState:\tS (sleeping)\nFDSize:\t64\n' };
    const grown = { ...init, ...status(7, 60_000), ...status(10, 100_001) };
    const processes = { ...init, ...status(7, 60_000), ...status(8, 5000), ...status(9, 4999) };
    const path = captured('anonymous', processes);
    const [rows] = (await answerOf(path)).memory.children.flatMap(({ children }) =>
      children.filter(({ category }) => category === 'anonymous'),
    );
    expect(rows?.owners).toEqual([
      { kind: 'process', pid: 7, name: 'worker 7', bytes: 60_000 * 1024 },
      { kind: 'process', pid: 8, name: 'worker 8', bytes: 5000 * 1024 },
    ]);
    const { stdout } = await kdumpMem('memory', '--from', path);
    expect(stdout).toMatch(/^ +anonymous .* pid 7 \(worker 7\) ≤ 58\.6 MiB, pid 8 \(worker 8\) ≤ 4\.88 MiB$/m);
    const most = await kdumpMem('memory', '--from', captured('most', { ...processes, 'proc/meminfo': GROWN }));
    expect(most.stdout).toContain('anonymous memory of processes, 293 MiB (29 %), up to 58.6 MiB of it in pid 7 (');
    const more = await kdumpMem('memory', '--from', captured('more', grown));
    expect(more.stdout).toContain('pid 10 (worker 10) ≤ 97.7 MiB, pid 7 (worker 7) ≤ 58.6 MiB');
    // A process that is missing may be the largest.
    const { 'proc/1/status': _, ...hidden } = processes;
    for (const [name, files] of Object.entries({ small: { ...init, ...status(9, 4999) }, hidden })) {
      const { stdout } = await kdumpMem('memory', '--from', captured(name, files));
      expect(stdout).toMatch(/^ +anonymous .*\(procs lists the processes\)$/m);
    }
    const html = await kdumpMem('memory', '--html', '-', '--from', path);
    expect(html.stdout).toContain('pid 7 (worker 7) ≤ 58.6 MiB');
  });

  test('reports its host and time, and a next command that the capture can answer', async () => {
    const path = captured('words', {});
    const { stdout } = await kdumpMem('memory', '--from', path);
    expect(stdout).toContain('Source: counters in /proc only, captured on a\\x1b[31mhost at 2026-01-02 03:04:05 UTC.');
    // Without sockets in the capture, skcheck has nothing to read.
    expect(stdout).toContain(`Next: kdump-mem triage --from ${path}`);
    const grown = { 'proc/meminfo': GROWN };
    for (const [name, files, command] of [
      ['anonymous', { ...grown, 'proc/1/status': 'Name:\tx\n' }, 'procs'],
      ['no-process', grown, 'triage'],
    ] as const) {
      const { stdout: found } = await kdumpMem('memory', '--from', captured(name, files));
      expect(found).toContain(`Next: kdump-mem ${command} --from ${join(folder, name)}`);
    }
  });

  test.each([
    ['all have one', '51200000 7 memfd:a\nmissing descriptors: some\nend 1\n', []],
    ['all files were listed', 'end 0\n', []],
    [
      'some files may be missing',
      '1024000 7 memfd:a\nmissing a thing\nmissing another\nend 1\n',
      ['up to 47.9 MiB of shared memory has no known owner (a thing; another)'],
    ],
    [
      'the list is empty',
      '',
      ['up to 48.8 MiB of shared memory has no known owner (the list of files in memory is malformed or truncated)'],
    ],
  ])('reports shared memory without a known owner: %s', async (name, list, messages) => {
    const { warnings } = await answerOf(captured(name, { 'files-in-memory': list }));
    expect(warnings).toEqual(messages.map((message) => ({ code: 'unreadable', message })));
  });

  test('small files of processes of one name have them as their owner', async () => {
    const list = '27000000 7u memfd:a\n27000000 8u memfd:b\nend 2\n';
    const names = '/proc/7/comm:hoard\n/proc/8/comm:hoard\n';
    const path = captured('program', { 'files-in-memory': list, 'sample-2/after': names });
    const { stdout } = await kdumpMem('memory', '--from', path);
    expect(stdout).toMatch(/ memfd:a and 1 more \(2 processes named hoard\) 51\.5 MiB/);
  });

  test('reports incomplete captures', async () => {
    const cut = captured('cut', {});
    writeFileSync(join(cut, 'proc/meminfo'), MEMINFO.replace(/(AnonPages: +)1/, '$12'));
    expect((await answerOf(cut)).warnings).toMatchObject([
      { code: 'unreadable', message: expect.stringContaining('proc/meminfo') },
    ]);
    const bare = captured('bare', {});
    rmSync(join(bare, 'manifest'));
    expect((await answerOf(bare)).warnings).toMatchObject([{ message: expect.stringContaining('no manifest') }]);
  });

  test('derives a missing page size from counters, and does without one', async () => {
    const path = captured('old', {});
    rmSync(join(path, 'proc/self/auxv'));
    // MemTotal is in kB, present pages of zones are not.
    expect((await answerOf(path)).host?.pageSize).toBe(16_384);
    rmSync(join(path, 'proc/zoneinfo'));
    const { host, memory } = await answerOf(path);
    expect(host).toMatchObject({ pageSize: 4096, pageSizeKnown: false });
    expect(memory.bytes).toBe(1_024_000 * 1024);
  });

  test.each(['none', 'empty', 'fifo'])(
    'refuses a file that is not a capture (%s), and names what to give',
    async (name) => {
      const path = join(folder, `no-${name}`);
      if (name === 'empty') writeFileSync(path, '');
      if (name === 'fifo') execFileSync('mkfifo', [path]);
      const { status, stdout, stderr } = await kdumpMem('memory', '--from', path);
      expect([status, stdout]).toEqual([3, '']);
      expect(stderr).toMatch(
        /^kdump-mem: .*Name a snapshot, a sosreport or supportconfig, or a folder with proc\/meminfo\.\n$/,
      );
      // No source of this machine describes another machine.
      expect(stderr).not.toContain('--source');
    },
  );

  test.each([
    [['--files'], 'a snapshot contains counters only'],
    [['--live'], 'cannot be used'],
    [['--engine', 'crash'], '--engine does not apply to --from'],
  ])('refuses %s with --from', async (more, words) => {
    const { status, stderr } = await kdumpMem('memory', '--from', folder, ...more);
    expect(status).toBe(2);
    expect(stderr).toContain(words);
  });
});
