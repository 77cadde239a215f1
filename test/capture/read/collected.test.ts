import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { inputsFrom } from '../../../src/app/kit/log-inputs.js';
import { memoryOfCapture } from '../../../src/app/memory/captured.js';
import { readCapture } from '../../../src/capture/read/files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { processesOfPs } from '../../../src/capture/read/sosreport.js';
import { sharedCase } from '../../support/shared-logs.js';
import { meminfo } from '../../support/snapshot.js';

const folder = mkdtempSync(join(tmpdir(), 'collected-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;
const MEMINFO = meminfo({ MemTotal: 1_024_000, MemFree: 400_000, AnonPages: 300_000 });
const KERNEL_LOG = '[    0.000000] Linux version 5.14.0\n[    9.000000] Kernel panic - not syncing: x\n';
/** A page size of 16 KiB. */
const VMSTAT = 'nr_free_pages 25000\nnr_shmem 0\n';

let made = 0;
function written(files: Readonly<Record<string, string>>): string {
  const path = join(folder, `input-${++made}`);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

function packed(path: string): string {
  execFileSync('tar', ['-cf', `${path}.tar`, '-C', dirname(path), path.slice(path.lastIndexOf('/') + 1)]);
  return `${path}.tar`;
}

async function answerOf(path: string) {
  const files = await readCapture(path);
  const answer = memoryOfCapture(path, files);
  const rows = new Map(leaves(answer.memory).map((row): [string, Category] => [row.category, row]));
  return { files, answer, rows, host: new CapturedHost(files) };
}

const HEAD = (kind: string) => `#==[ ${kind} ]${'='.repeat(30)}#\n`;
const SUPPORTCONFIG = {
  'basic-environment.txt': `${HEAD('Command')}# /usr/bin/uname -a\nLinux sles1 4.12.14-122-default #1 SMP x86_64 GNU/Linux\n\n`,
  'memory.txt':
    `${HEAD('Command')}# /usr/bin/free -k\n  total\n\n${HEAD('Configuration File')}# /proc/meminfo\n${MEMINFO}\n\n` +
    `${HEAD('Configuration File')}# /proc/slabinfo - File not found\n\n`,
  'basic-health-check.txt':
    `${HEAD('Command')}# /usr/bin/ps axwwo user,pid,ppid,%cpu,%mem,vsz,rss,stat,time,cmd\n` +
    'USER PID PPID %CPU %MEM VSZ RSS STAT TIME CMD\nroot 1 0 0.0 0.1 9000 4000 Ss 00:00:09 /sbin/init\n\n',
};

describe('files of other collectors', () => {
  test.each([
    [
      'a sosreport',
      { 'proc/meminfo': MEMINFO, 'sos_commands/kernel/uname_-a': 'Linux h 3.10.0 x86_64\n' },
      '3.10.0',
      4096,
    ],
    [
      'one without uname',
      { 'proc/meminfo': MEMINFO, 'proc/version': 'Linux version 4.4.1-amd64 (x)\n' },
      '4.4.1-amd64',
      4096,
    ],
    ['a folder with proc', { 'proc/meminfo': MEMINFO, 'proc/vmstat': VMSTAT }, '', 16_384],
    ['a copy of /proc', { meminfo: MEMINFO, vmstat: VMSTAT, uptime: '9.00 1.00\n' }, '', 16_384],
    ['a copy of /proc in a folder', { 'phone/meminfo': MEMINFO, 'phone/vmstat': VMSTAT }, '', 16_384],
    ['a supportconfig', SUPPORTCONFIG, '4.12.14-122-default', 4096],
    [
      'a supportconfig with printed files',
      {
        ...SUPPORTCONFIG,
        'memory.txt': SUPPORTCONFIG['memory.txt'].replace('# /proc/meminfo', '# /bin/cat /proc/meminfo'),
      },
      '4.12.14-122-default',
      4096,
    ],
    [
      'an insights archive',
      { 'data/proc/meminfo': MEMINFO, 'data/insights_commands/uname_-a': 'Linux h 5.14.0 x86_64\n' },
      '5.14.0',
      4096,
    ],
    ['a must-gather', { 'quay-io/nodes/n1/proc_meminfo': MEMINFO, 'quay-io/nodes/n1/proc_vmstat': VMSTAT }, '', 16_384],
  ])('%s is read as a folder, and packed', async (_, files, release, pageSize) => {
    const path = written(files);
    for (const input of [path, packed(path)]) {
      const { answer, rows, host } = await answerOf(input);
      expect(answer.host).toEqual({ release, pageSize, pageSizeKnown: true });
      expect(rows.get('anonymous')?.bytes).toBe(300_000 * 1024);
      if (host.psText) expect(processesOfPs(host.psText).processes).toMatchObject([{ pid: 1, comm: 'init' }]);
    }
  });

  test.each(['gzip', 'xz', 'zstd', 'bzip2'])('archives of %s, with links', async (program) => {
    const path = written({ 'proc/meminfo': MEMINFO, 'sos_commands/host/hostname': 'db9\n' });
    symlinkSync('sos_commands/host/hostname', join(path, 'hostname'));
    const packed = `${path}.packed`;
    execFileSync('sh', [
      '-c',
      `tar -C "$0" -cf - "$1" | ${program} > "$2"`,
      dirname(path),
      path.slice(path.lastIndexOf('/') + 1),
      packed,
    ]);
    const { host, rows } = await answerOf(packed);
    expect(host.readText('/proc/sys/kernel/hostname')).toBe('db9\n');
    expect(rows.get('free-buddy')?.bytes).toBe(400_000 * 1024);
  });

  test('several hosts are refused, and containers in a copy of /proc are none', async () => {
    const two = written({ 'a/proc/meminfo': MEMINFO, 'b/proc/meminfo': MEMINFO });
    await expect(readCapture(two)).rejects.toMatchObject({
      code: 'not-a-capture',
      message: `${two} contains 2 hosts: a/, b/`,
      next: 'Name the folder of one host.',
    });
    await expect(readCapture(packed(two))).rejects.toMatchObject({
      next: 'Unpack it, and name the folder of one host.',
    });
    // Not even by the logs that they have.
    writeFileSync(join(two, 'a/dmesg'), '[    1.000000] Linux version 6.1.0\n');
    await expect(inputsFrom(two)).rejects.toMatchObject({ code: 'not-a-capture' });
    const { rows } = await answerOf(
      written({ 'proc/meminfo': MEMINFO, 'proc/9/root/proc/meminfo': 'MemTotal: 1 kB\n' }),
    );
    expect(rows.get('anonymous')?.bytes).toBe(300_000 * 1024);
  });

  test.each([
    ['nodes/n1/dmesg', 'mg/quay/nodes/n1/proc_meminfo', 'mg/quay/nodes/n1/dmesg'],
    ['dmesg beside proc', 'proc/meminfo', 'dmesg'],
    ['sos', 'sosreport-x/proc/meminfo', 'sosreport-x/sos_commands/kernel/dmesg'],
    ['dmesg -T of sos', 'sosreport-x/proc/meminfo', 'sosreport-x/sos_commands/kernel/dmesg_-T'],
    ['insights', 'data/proc/meminfo', 'data/insights_commands/dmesg'],
  ])('%s is the log of its host', async (_, meminfo, log) => {
    // Logs of programs and of containers belong to no second host.
    const others = Object.fromEntries(['var/log/dmesg', 'var/lib/x/dmesg'].map((name) => [name, 'other\n']));
    const path = written({ ...others, [meminfo]: MEMINFO, [log]: KERNEL_LOG });
    for (const input of [path, packed(path)]) {
      const { host } = await answerOf(input);
      expect(host.logText()).toBe(KERNEL_LOG);
      expect(host.contradictions()).toEqual([]);
    }
  });

  test('each node of a must-gather has its own log', async () => {
    const path = written({ 'mg/nodes/a/dmesg': KERNEL_LOG, 'mg/nodes/b/dmesg': KERNEL_LOG });
    await expect(readCapture(packed(path))).rejects.toMatchObject({ message: expect.stringContaining('2 hosts: ') });
    const found = await readCapture(join(path, 'mg/nodes/a'), { logs: true });
    expect([found.hasLogsAlone, found.logs().map(({ name }) => name)]).toEqual([true, ['dmesg']]);
  });

  test('files that only have the name of a supportconfig are no host', async () => {
    await expect(readCapture(written({ 'memory.txt': 'remember\n' }))).rejects.toMatchObject({ code: 'not-a-capture' });
  });
});

/** Cases of other machines, which are not part of the repository. */
describe('shared cases', () => {
  const cases: readonly (readonly [name: string, check: (found: Awaited<ReturnType<typeof answerOf>>) => void])[] = [
    [
      'balloon-hole',
      ({ rows, answer }) => {
        expect(rows.get('free-buddy')?.range).toEqual({ leastBytes: 560_476_160, mostBytes: 872_407_040 });
        expect(rows.get('vmalloc')?.why).toContain('not counted by this kernel');
        expect(rows.get('unattributed')?.range?.leastBytes).toBeGreaterThan(4.9 * 2 ** 30);
        expect(rows.get('unattributed')?.range?.leastBytes).toBeLessThan(0.66 * answer.memory.bytes);
      },
    ],
    [
      'meminfo-cut-off',
      ({ rows, answer }) => {
        expect(rows.get('unattributed')?.bytes).toBe(0);
        expect(rows.get('missing-counters')?.bytes).toBe(4_000_000 * 1024);
        expect(answer.warnings.map(({ message }) => message).join()).toContain('lines of /proc/meminfo are missing: ');
      },
    ],
    ...['el8', 'amzn2'].map(
      (name) =>
        [
          `sosreport-vmallocused-0/${name}`,
          ({ rows }: Awaited<ReturnType<typeof answerOf>>) => {
            const inMib = (row: string) => Math.round((rows.get(row)?.bytes ?? 0) / MIB);
            expect(inMib('slab-unreclaimable')).toBe(3418);
            expect(inMib('unattributed')).toBeCloseTo(312, -1);
            expect(rows.get('vmalloc')).toMatchObject({
              bytes: 0,
              why: expect.stringContaining('not counted by this kernel'),
            });
          },
        ] as const,
    ),
    [
      'sosreport-el7-vmallocused/sum-exceeds',
      ({ rows, answer }) => {
        const [largest] = [...rows.values()].toSorted((a, b) => b.bytes - a.bytes);
        expect(largest).toMatchObject({ category: 'slab-reclaimable', bytes: 14_810_428 * 1024 });
        expect(answer.warnings.filter(({ code }) => code === 'corrupt')).toEqual([]);
      },
    ],
    [
      'sosreport-el7-vmallocused/ioremap',
      ({ rows, answer }) => {
        expect(rows.get('vmalloc')).toMatchObject({ bytes: 0, why: expect.stringContaining('address space') });
        expect(answer.callers).toEqual([expect.objectContaining({ caller: 'alloc_large_system_hash', bytes: MIB })]);
      },
    ],
  ];
  const present = cases.flatMap(([name, check]) => {
    const path = sharedCase(name);
    return path === undefined ? [] : [{ name, path, check }];
  });

  test(`${cases.length - present.length} of ${cases.length} are absent`, () => {
    for (const { path } of present) expect(readdirSync(path)).toContain('proc');
    for (const { path } of present) expect(readFileSync(join(path, 'proc/meminfo'), 'utf8')).toContain('MemTotal');
  });

  test.each(present)('$name has the right value', async ({ path, check }) => check(await answerOf(path)));
});
