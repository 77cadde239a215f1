import { describe, expect, test } from 'vitest';
import type { MemoryAnswer } from '../../src/account/memory/answer.js';
import type { Category } from '../../src/account/memory/tree.js';
import { findingWords } from '../../src/answers/triage/words.js';
import { HostError } from '../../src/base/errors.js';
import type { NamedMemory } from '../../src/records/named-memory.js';
import { HOST_CHECKS } from '../../src/records/triage-codes.js';
import type { KernelTriage } from '../../src/triage/answer.js';
import type { Finding } from '../../src/triage/finding.js';
import { hostFindings, pipeFindings, withHostFindings } from '../../src/triage/host-checks.js';
import { near } from '../../src/triage/host-limits.js';
import { lowAvailable } from '../../src/triage/host-processes.js';
import { HostReader } from '../../src/triage/host-reader.js';
import { type MadeHost, madeSource } from '../support/made-host.js';

const psi = (some: number, full: number) =>
  ['some', 'full']
    .map((name, index) => {
      const value = [some, full][index]?.toFixed(2);
      return `${name} avg10=${value} avg60=${value} avg300=0.00 total=5\n`;
    })
    .join('');
const meminfo = (changes: Readonly<Record<string, number>> = {}) =>
  Object.entries({
    MemTotal: 16_000_000,
    MemFree: 9_000_000,
    MemAvailable: 12_000_000,
    Buffers: 100_000,
    Cached: 3_000_000,
    AnonPages: 2_000_000,
    Shmem: 9000,
    Slab: 190_000,
    Hugetlb: 0,
    SwapTotal: 2000,
    SwapFree: 2000,
    Dirty: 10,
    Writeback: 0,
    SUnreclaim: 90_000,
    KernelStack: 5000,
    PageTables: 9000,
    VmallocUsed: 90_000,
    VmallocChunk: 0,
    ...changes,
  })
    .map(([name, kib]) => `${name}:  ${kib} kB\n`)
    .join('');
const zoneinfo = (free: number) =>
  `Node 0, zone   Normal\n  pages free     ${free}\n        boost    0\n        min      1000\n        low      2000\n        high     3000\n        managed  256000\n`;
const status = (state: string, parent = 1, more = '') =>
  `Name:\tx\nState:\t${state} (x)\nPPid:\t${parent}\nFDSize:\t64\nVmPTE:\t 44 kB\nThreads:\t1\n${more}`;
/** Ticks of 10 ms; half of the busy ones are in user mode. */
const stat = (busy: number, steal: number) =>
  `cpu  ${busy / 2} 0 ${busy / 2} 123456 7 0 0 ${steal} 99 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1 2\n`;
const limits = (files: number) => `Max open files            ${files}     ${files}     files\n`;
const cgroup = (name: string, current: number, more: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    Object.entries({
      'memory.current': `${current}\n`,
      'memory.max': '1000000\n',
      'memory.high': 'max\n',
      'memory.stat': 'anon 5\ninactive_file 1000\nactive_file 1000\n',
      'memory.events': 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n',
      ...more,
    }).map(([file, text]) => [`/sys/fs/cgroup/${name}/${file}`, text]),
  );

const PAGETYPES = [
  'Page block order: 9',
  '',
  'Free pages count per migrate type at order       0      1 ',
  'Node    0, zone   Normal, type    Unmovable      7      7 ',
  '',
  'Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic ',
  'Node 0, zone    DMA32            1            2            3            0 ',
  'Node 0, zone   Normal         1500          200          300            0 ',
  '',
].join('\n');

const HEALTHY: MadeHost['files'] = {
  '/proc/meminfo': meminfo(),
  '/proc/zoneinfo': zoneinfo(90_000),
  '/proc/buddyinfo': 'Node 0, zone   Normal   90  90  90  90  4\n',
  '/proc/vmstat': 'oom_kill 0\ncompact_stall 7\ncompact_fail 3\n',
  '/proc/slabinfo': '',
  '/proc/pressure/memory': psi(0, 0),
  '/proc/pressure/io': psi(0, 0),
  '/proc/loadavg': '0.00 0.01 0.05 1/50 777\n',
  '/proc/stat': stat(90_000, 200),
  '/proc/sys/kernel/threads-max': '100000\n',
  '/proc/sys/kernel/pid_max': '32768\n',
  '/proc/sys/fs/file-nr': '1000\t0\t100000\n',
  '/proc/net/sockstat': 'TCP: inuse 1 orphan 0 tw 0 alloc 2 mem 10\nUDP: inuse 1 mem 1\n',
  '/proc/sys/net/ipv4/tcp_mem': '100 200 300\n',
  '/proc/sys/net/ipv4/udp_mem': '100 200 300\n',
  '/sys/fs/cgroup/cgroup.procs': '1\n',
  ...cgroup('web.slice', 500),
  '/proc/1/status': status('S'),
  '/proc/1/comm': 'init\n',
};

function triaged(changes: Readonly<Record<string, string | null>> = {}, denied: string[] = []) {
  const files: Record<string, string> = { ...HEALTHY };
  for (const [path, text] of Object.entries(changes))
    if (text === null) delete files[path];
    else files[path] = text;
  const reader = new HostReader(madeSource({ files, denied }), 4096);
  return { findings: hostFindings(reader), reader };
}

test('finds nothing on a healthy host, and reads everything', () => {
  const { findings, reader } = triaged();
  expect(findings).toEqual([]);
  expect(reader.unread).toEqual([]);
  // Descriptors are not part of a snapshot.
  expect([...reader.checked, 'log', 'memory', 'sockets', 'pipes', 'inotify', 'baseline'].toSorted()).toEqual(
    HOST_CHECKS.toSorted(),
  );
});

test('counts huge pages of the default size on an old kernel without Hugetlb and RssAnon', () => {
  const old = meminfo({ MemFree: 400_000, MemAvailable: 500_000 }).replace(
    /^Hugetlb:.*$/m,
    'HugePages_Total:    4000\nHugepagesize:    2048 kB',
  );
  const { findings } = triaged({ '/proc/meminfo': old });
  expect(findings).toMatchObject([
    { code: 'low-available', figures: { use: 'huge-pages', useBytes: 4000 * 2 ** 21, pid: null, anonBytes: null } },
  ]);
});

test.each([
  [{ MemAvailable: 2_000_000, SwapFree: 100 }, ['low-available']],
  [{ MemAvailable: 2_000_000, SwapFree: 1900 }, []],
  [{ MemAvailable: 4_000_000, SwapFree: 0 }, []],
  [{ MemAvailable: 2_000_000, SwapTotal: 0, SwapFree: 0 }, []],
])('while swap is nearly used up, less than 20 % available is little: %j', (changes, codes) => {
  const { findings } = triaged({ '/proc/meminfo': meminfo(changes) });
  expect(findings.map(({ code }) => code)).toEqual(codes);
  for (const one of findings) expect(findingWords(one)).toContain('Swap is nearly used up: 100 KiB is free.');
});

test('a counter that the text lacks is not 0: the largest use and the free swap are unknown', () => {
  const without = (line: string, changes: Readonly<Record<string, number>>) =>
    triaged({ '/proc/meminfo': meminfo(changes).replace(new RegExp(`^${line}:.*\\n`, 'm'), '') });
  const small = without('AnonPages', { MemAvailable: 500_000 });
  expect(small.findings).toMatchObject([{ code: 'low-available', figures: { use: null, useBytes: null } }]);
  expect(findingWords(small.findings[0]!)).not.toContain('Largest use');
  expect(small.reader.unread).toMatchObject([{ check: 'available', hides: 'the largest use of memory' }]);
  const middle = without('SwapFree', { MemAvailable: 2_000_000 });
  expect(middle.findings).toEqual([]);
  expect(middle.reader.unread).toContainEqual(expect.objectContaining({ check: 'available' }));
  const [little] = without('SwapFree', { MemAvailable: 500_000 }).findings;
  expect(little?.figures).not.toHaveProperty('swapFreeBytes');
});

test('names shared memory apart from page cache; a pool without pages needs no page size', () => {
  const cut = meminfo({ MemFree: 400_000, MemAvailable: 500_000, Shmem: 9_000_000, Cached: 9_500_000 })
    .replace(/^Hugetlb:.*\n/m, 'HugePages_Total:    0\n')
    .replace(/^Hugepagesize:.*\n/m, '');
  const { findings } = triaged({ '/proc/meminfo': cut });
  expect(findings).toMatchObject([{ code: 'low-available', figures: { use: 'shared', useBytes: 9_000_000 * 1024 } }]);
});

test.each([
  ['a running machine with /proc/kcore', true, true, 1_000_000, true],
  ['less than 5 % of memory', true, true, 300_000, false],
  ['a running machine without it', true, false, 1_000_000, false],
  ['a snapshot', false, true, 1_000_000, false],
])('transparent huge pages lead to the zeros in them: %s', (_, isLive, hasKcore, kib, isNamed) => {
  const short = `${meminfo({ MemFree: 400_000, MemAvailable: 500_000 })}AnonHugePages: ${kib} kB\n`;
  const source = madeSource({ files: { ...HEALTHY, '/proc/meminfo': short } });
  const size = (path: string) => {
    if (path === '/proc/kcore' && hasKcore) return 2 ** 47;
    throw new HostError('gone', path);
  };
  const live = isLive ? { file: () => ({}) as never } : {};
  const findings = [...lowAvailable(new HostReader(Object.assign(source, { size, ...live }), 4096))];
  expect(findings.map(({ code }) => code)).toEqual(['low-available']);
  expect(findings.map(findingWords).join('').includes('memory --live --huge')).toBe(isNamed);
});

test('an impossible counter is unread, and no all-clear', () => {
  const { reader } = triaged({ '/proc/meminfo': meminfo({ MemAvailable: 99_000_000_000 }) });
  expect(reader.unread).toMatchObject([{ check: 'available', why: expect.stringContaining('exceeds MemTotal') }]);
  expect(reader.checked).not.toContain('available');
});

test('reports memory in no counter as the largest use, and omits a small process', () => {
  const { findings } = triaged({
    '/proc/meminfo': meminfo({ MemFree: 900_000, MemAvailable: 1_000_000, Cached: 90_000 }),
    '/proc/1/status': status('S', 1, 'RssAnon:\t  9000 kB\nVmSwap:\t 0 kB\n'),
  });
  expect(findings).toMatchObject([{ severity: 'note', figures: { use: 'uncounted', pid: null }, next: 'memory' }]);
  expect(findingWords(findings[0]!)).toContain('memory in no counter of /proc/meminfo');
  // Where a text is cut, huge pages can be in the lines that it lacks.
  const cut = meminfo({ MemFree: 900_000, MemAvailable: 1_000_000, Cached: 90_000 });
  const { findings: some } = triaged({ '/proc/meminfo': cut.replace(/^(?:Hugetlb|Vmalloc\w+):.*\n/gm, '') });
  expect(some).toMatchObject([{ figures: { use: 'missing-counters' } }]);
  // It may end there.
  const { findings: ended } = triaged({ '/proc/meminfo': cut.replace(/^Hugetlb:.*\n/m, 'CmaFree: 0 kB\n') });
  expect(ended).toMatchObject([{ figures: { use: 'missing-counters' } }]);
  expect(findingWords(some[0]!)).toContain('in lines of /proc/meminfo that are missing here, or in no counter');
});

test('names the process that was passed the descriptors of shared memory without an owner', () => {
  const shared = meminfo({ Shmem: 4_000_000, Cached: 7_000_000, Mapped: 9000 } as never);
  const passed = {
    ...HEALTHY,
    '/proc/meminfo': shared,
    '/proc/7/status': status('S'),
    '/proc/7/comm': 'receiver\n',
    '/proc/7/fdinfo/4': 'pos:\t0\nscm_fds: 20\n',
    '/proc/7/fdinfo/5': 'pos:\t0\nscm_fds: 0\n',
  };
  const links = { '/proc/7/fd/4': 'socket:[9]', '/proc/7/fd/5': 'socket:[10]', '/proc/7/fd/6': '/dev/null' };
  const found = (files: Readonly<Record<string, string>>) => {
    const source = { ...madeSource({ files, links }), file: () => ({}) as never };
    return hostFindings(new HostReader(source, 4096)).filter(({ code }) => code === 'shared-memory');
  };
  const [only, ...others] = found(passed);
  expect(others).toEqual([]);
  expect(only).toMatchObject({ severity: 'note', figures: { pid: 7, comm: 'receiver', descriptors: 20 } });
  expect(findingWords(only!)).toMatch(
    /^Shared memory: 3\.\d+ GiB \(25 % of memory\) is open in no process, and pid 7 \(receiver\) has not received 20 passed descriptors, which may hold it\./,
  );
  expect(found({ ...passed, '/proc/7/fdinfo/4': 'pos:\t0\n' })).toEqual([]);
});

test('counts pipes once each, by program, and only if memory is in no counter', () => {
  const links = Object.fromEntries(
    Array.from({ length: 4000 }, (_, fd) => [
      `/proc/${fd < 3000 ? 7 : 8}/fd/${fd}`,
      fd < 3000 ? `pipe:[${Math.floor(fd / 2)}]` : `pipe:[${fd - 3000}]`,
    ]),
  );
  const files = {
    ...HEALTHY,
    '/proc/sys/fs/pipe-max-size': '1048576\n',
    '/proc/7/status': status('S').replace('FDSize:\t64', 'FDSize:\t4096'),
    '/proc/8/status': status('S').replace('FDSize:\t64', 'FDSize:\t2048'),
    '/proc/7/comm': 'pipes\n',
  };
  const source = { ...madeSource({ files, links }), file: () => ({}) as never };
  const counted = (bytes: number) => {
    const range = { leastBytes: bytes, mostBytes: 2 * bytes };
    const unattributed = { category: 'unattributed', bytes, range, children: [] };
    return { memory: { category: 'memory', children: [unattributed] } as unknown as Category };
  };
  const found = (bytes: number) => {
    return pipeFindings(new HostReader(source, 4096), counted(bytes));
  };
  // The pipes of pid 8 are those of pid 7.
  expect(found(2 ** 30)).toMatchObject([
    { code: 'pipes', severity: 'warning', figures: { pid: 7, comm: 'pipes', pipes: 1500, mostBytes: 1500 * 2 ** 20 } },
  ]);
  expect(found(2 ** 29)).toMatchObject([{ severity: 'note', figures: { pipes: 1500 } }]);
  expect(found(2 ** 28)).toEqual([]);
  expect(found(4 * 2 ** 30)).toEqual([]);
  expect(found(0)).toEqual([]);
  const { file: _, ...captured } = source;
  const memory = counted(2 ** 30);
  const reader = new HostReader(captured, 4096);
  expect(pipeFindings(reader, memory)).toMatchObject([{ figures: { pid: 7, pipes: 1500 }, next: 'memory' }]);
  // Pipes in messages: no process has them open.
  const passed = { ...files, '/proc/8/fdinfo/4': 'pos:\t0\nscm_fds: 1906\n' };
  const inFlight = {
    ...madeSource({ files: passed, links: { '/proc/8/fd/4': 'socket:[9]' } }),
    file: () => ({}) as never,
  };
  const [only, ...others] = pipeFindings(new HostReader(inFlight, 4096), memory);
  expect(others).toEqual([]);
  expect(only).toMatchObject({ severity: 'note', figures: { pid: 8, descriptors: 1906 }, next: 'procs --pid 8 --fds' });
  expect(findingWords(only!)).toMatch(/^Pipes in flight: pid 8 \S+ has not received 1906 passed descriptors\./);
  // Of an older snapshot it is unknown whether there are pipes.
  const older = new HostReader(madeSource({ files }), 4096);
  expect([pipeFindings(older, memory), older.checked]).toEqual([[], []]);
});

test('names files in memory, and whether a process maps that much', () => {
  const shared = { '/proc/meminfo': meminfo({ Shmem: 4_000_000 }) };
  expect(triaged(shared).reader.unread).toMatchObject([
    { check: 'shared-memory', why: expect.stringContaining('(the capture does not list files in memory)') },
  ]);
  const segments = (kib: number, attaches: number) =>
    `       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
         0          7   600 ${kib * 1024}  1 1 ${attaches} 0 0 0 0 1700000000 0 0 ${kib * 1024} 0\n`;
  const found = (attaches: number, kib = 2_000_000, mappedKib = 100) => {
    const files = {
      ...HEALTHY,
      ...shared,
      '/proc/sysvipc/shm': segments(kib, attaches),
      '/proc/1/status': status('S', 1, `RssShmem:\t${mappedKib} kB\n`),
    };
    const source = { ...madeSource({ files }), file: () => ({}) as never };
    return hostFindings(new HostReader(source, 4096));
  };
  expect(found(0)).toMatchObject([
    {
      code: 'shared-memory',
      severity: 'warning',
      figures: { kind: 'segment', bytes: 2_000_000 * 1024, share: 0.125, pid: 1, mapped: 0 },
    },
  ]);
  expect(findingWords(found(0)[0]!)).toMatch(
    /^Shared memory: SysV segment 7 holds 1\.91 GiB .* created by pid 1 \(init\)\. .* Last attach: 2023-11-14 22:13:20 UTC, by pid 1 \(init\)\./,
  );
  expect(found(1)).toEqual([]);
  expect(found(0, 2_000_000, 1_500_000)).toMatchObject([{ severity: 'warning', figures: { mapped: 0 } }]);
  expect(found(0, 1_000_000)).toMatchObject([{ severity: 'note', figures: { mapped: 0 } }]);
  expect(found(0, 700_000)).toEqual([]);
});

test('many files in memory of one process are one finding, and mapped or small ones are none', () => {
  const MIB = 2 ** 20;
  const found = (count: number, each: number, live = true) => {
    const names = Array.from({ length: count }, (_, at) => `/proc/7/fd/${at + 3}`);
    const files = {
      ...HEALTHY,
      '/proc/meminfo': meminfo({ Shmem: 6_000_000 }),
      '/proc/self/mountinfo': '20 1 0:20 / /dev/shm rw - tmpfs tmpfs rw\n',
      '/proc/7/status': status('S'),
      '/proc/7/comm': 'worker\n',
    };
    const links = Object.fromEntries(names.map((name, at) => [name, `/memfd:m${at} (deleted)`]));
    const facts = (name: string) => ({
      device: 1,
      inode: names.indexOf(name),
      bytes: each * MIB,
      isFile: true,
      isFolder: false,
    });
    const tmpfs = () => ({ used: null, limit: null });
    const source = { ...madeSource({ files, links }), tmpfs, ...(live ? { file: facts } : {}) };
    return hostFindings(new HostReader(source, 4096)).filter(({ code }) => code === 'shared-memory');
  };
  const [many, ...others] = found(600, 10);
  expect(others).toEqual([]);
  expect(many).toMatchObject({
    severity: 'warning',
    figures: { files: 600, bytes: 6000 * MIB, pid: 7, comm: 'worker', mapped: 0 },
    next: 'procs --pid 7 --fds',
  });
  expect(findingWords(many!)).toMatch(
    /^Shared memory: 600 files, the largest memfd:m0, hold 5\.86 GiB \(38 % of memory\), open in pid 7 \(worker\)\./,
  );
  expect(found(4, 1200)).toHaveLength(1);
  expect(found(70, 10)).toEqual([]);
});

test('adds findings from files to those of kernel memory, each subject once', () => {
  const zone = (name: string): Finding => ({
    code: 'low-memory',
    severity: 'warning',
    evidence: [],
    figures: { node: 0, zone: name, freeBytes: 1 },
  });
  const { reader } = triaged({
    '/proc/zoneinfo': zoneinfo(900),
    '/proc/vmstat': 'oom_kill 3\ncompact_stall 7\ncompact_fail 3\n',
  });
  const codes = (...findings: Finding[]) =>
    withHostFindings({ findings } as unknown as KernelTriage, reader).findings.map(({ code, figures }) =>
      `${code} ${figures.zone ?? ''} ${figures.freeBytes ?? ''}`.trim(),
    );
  expect(codes(zone('Normal'))).toEqual(['low-memory Normal 1', 'oom-kills']);
  expect(codes(zone('DMA32'))).toEqual(['low-memory DMA32 1', `low-memory Normal ${900 * 4096}`, 'oom-kills']);
});

test('kernel memory beside files: complete only if both are', () => {
  const whole = { findings: [], complete: true } as unknown as KernelTriage;
  const isComplete = (changes: Parameters<typeof triaged>[0]) =>
    withHostFindings(whole, new HostReader(triaged(changes).reader.source, 4096)).complete;
  expect(isComplete({})).toBe(true);
  expect(isComplete({ '/proc/pressure/io': 'x' })).toBe(false);
});

test('the next command of a limit lists what uses it; none lists keys', () => {
  const next = (limit: string, of = {}) => [...near(limit, 95, 100, of)].map((one) => one.next);
  expect(next('tcp_mem')).toEqual(['skcheck']);
  expect(next('pids.max of /a\nb')).toEqual(['procs --sort threads']);
  expect(next('max_user_instances of uid 0', { mostPid: 7, mostComm: 'x' })).toEqual(['procs --pid 7 --fds']);
  for (const limit of ['keys of uid 7', 'nf_conntrack_max', 'file-max']) expect(next(limit)).toEqual([undefined]);
});

const many = (count: number, of: (pid: number) => readonly [string, string][]) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => of(1000 + index)).flat());

const HUGE = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const hugePages = (pages: number, free: number, reserved: number, counted = pages) => ({
  [`${HUGE}/nr_hugepages`]: `${pages}\n`,
  [`${HUGE}/free_hugepages`]: `${free}\n`,
  [`${HUGE}/resv_hugepages`]: `${reserved}\n`,
  '/proc/meminfo': meminfo({ Hugetlb: 2048 * counted }),
});

test.each([
  ['a process that maps them', { '/proc/9/status': status('S', 1, `HugetlbPages:\t ${3000 * 2048} kB\n`) }, 0],
  ['a process without the line', { '/proc/9/status': status('S', 1, 'RssAnon:\t 9 kB\n') }, 0],
  ['a process that cannot be read', { '/proc/9/status': 'x' }, 1],
  ['a pool that contradicts Hugetlb', hugePages(30, 0, 0, 3000), 1],
])('used huge pages are no finding: %s', (_, changes, unread) => {
  const own = { '/proc/1/status': status('S', 1, 'HugetlbPages:\t 0 kB\n') };
  const { findings, reader } = triaged({ ...hugePages(3000, 0, 0), ...own, ...changes });
  expect(findings.filter(({ code }) => code === 'hugetlb-unused')).toEqual([]);
  expect(reader.unread.filter(({ check }) => check === 'huge-pages')).toHaveLength(unread);
});

describe.each<[code: string, severity: string, changes: Record<string, string>, figures: object, words: string]>([
  [
    'low-memory',
    'warning',
    { '/proc/zoneinfo': zoneinfo(900) },
    { zone: 'Normal', freeBytes: 900 * 4096 },
    'below its min watermark (3.91 MiB)',
  ],
  [
    'low-memory',
    'note',
    { '/proc/zoneinfo': zoneinfo(1900) },
    { lowBytes: 2000 * 4096 },
    'below its low watermark (7.81 MiB)',
  ],
  [
    'low-available',
    'warning',
    {
      '/proc/meminfo': meminfo({ MemFree: 300_000, MemAvailable: 400_000, AnonPages: 12_000_000 }),
      '/proc/7/status': status('S', 1, 'RssAnon:\t 9000000 kB\nVmSwap:\t 1000000 kB\n'),
      '/proc/7/comm': 'java\n',
    },
    { use: 'anonymous', useBytes: 12_000_000 * 1024, pid: 7, anonBytes: 10_000_000 * 1024 },
    'Largest process: pid 7 (java), 9.54 GiB of anonymous memory.',
  ],
  [
    'fragmentation',
    'warning',
    { '/proc/buddyinfo': 'Node 0, zone   Normal   9000  900  0  0  0\n' },
    { order: 3, compactStalls: 7, compactFails: 3 },
    'no free block of order 3',
  ],
  [
    'fragmentation',
    'warning',
    { '/proc/buddyinfo': 'Node 0, zone   Normal   9000  900  0  0  0\n', '/proc/pagetypeinfo': PAGETYPES },
    { pageblocks: 2000, unmovableBlocks: 1500, reclaimableBlocks: 300 },
    'Now 1500 of the 2000 pageblocks of that zone are unmovable, and 300 are reclaimable.',
  ],
  [
    'memory-pressure',
    'warning',
    { '/proc/pressure/memory': psi(40, 12), '/proc/meminfo': meminfo({ SwapFree: 1000 }) },
    { fullAvg10: 12, swapUsedBytes: 1000 * 1024 },
    'Memory pressure: all tasks stalled for memory in 12 %',
  ],
  [
    'oom-kills',
    'note',
    { '/proc/vmstat': 'oom_kill 3\n' },
    { kills: 3, cgroup: null },
    'OOM kills since boot: 3 on this machine',
  ],
  [
    'writeback-stuck',
    'warning',
    { '/proc/meminfo': meminfo({ Dirty: 3_000_000 }), '/proc/pressure/io': psi(50, 40) },
    { dirtyBytes: 3_000_000 * 1024 },
    'Writeback stuck',
  ],
  [
    'reclaimable-slab',
    'note',
    {
      '/proc/meminfo': meminfo({ SReclaimable: 9_000_000 }),
      '/proc/slabinfo': 'dentry 1 2 192 21 1 : tunables 0 0 0 : slabdata 9 99 0\n',
    },
    { caches: 'dentry', mostBytes: 99 * 4096 },
    'Reclaimable slab: 8.58 GiB',
  ],
  [
    'unreclaimable-slab',
    'warning',
    {
      '/proc/meminfo': meminfo({ SUnreclaim: 4_000_000 }),
      '/proc/slabinfo':
        'dentry 1 2 192 21 1 : tunables 0 0 0 : slabdata 9 9 0\nleaky 9 9 4096 8 8 : tunables 0 0 0 : slabdata 99 99 0\n',
    },
    { caches: 'leaky, dentry', mostBytes: 99 * 8 * 4096 },
    'Largest caches: leaky (3.09 MiB), dentry',
  ],
  [
    'kernel-stacks',
    'warning',
    {
      '/proc/meminfo': meminfo({ KernelStack: 1_000_000 }),
      '/proc/9/status': status('S').replace('Threads:\t1', 'Threads:\t60000'),
      '/proc/9/comm': 'spawns\n',
      '/proc/loadavg': '0.00 0.01 0.05 1/60010 777\n',
      '/proc/sys/kernel/pid_max': '4194304\n',
    },
    { pid: 9, comm: 'spawns', threads: 60_000 },
    'pid 9 (spawns) has the most threads',
  ],
  [
    'page-tables',
    'warning',
    {
      '/proc/meminfo': meminfo({ PageTables: 1_000_000 }),
      '/proc/9/status': status('S').replace(' 44 kB', ' 900000 kB'),
      '/proc/9/comm': 'maps\n',
    },
    { pid: 9, comm: 'maps', mostBytes: 900_000 * 1024 },
    'pid 9 (maps)',
  ],
  [
    'vmalloc',
    'warning',
    {
      '/proc/meminfo': meminfo({ VmallocUsed: 1_000_000 }),
      '/proc/vmallocinfo':
        '0x01-0x02 4096 module_alloc+0x9/0x30 [x\x1b] pages=2 vmalloc\n0x03-0x04 4096 htab_map_alloc+0x2e4/0x5a0 pages=240000 vmalloc N0=240000\n0x05-0x06 4096 ioremap+0x9/0x30 phys=0x1 ioremap\n',
    },
    { caller: 'htab_map_alloc', callerBytes: 240_000 * 4096, pid: null },
    'Largest caller: htab_map_alloc, 938 MiB.',
  ],
  [
    'limit-near',
    'warning',
    { '/proc/key-users': '    0:   76 75/75 70/1000000 1540/25000000\n 1000: 190 190/190 190/200 4000/20000\n' },
    { limit: 'keys of uid 1000', used: 190, most: 200 },
    '190 of 200 (keys of uid 1000)',
  ],
  [
    'limit-near',
    'warning',
    cgroup('forks', 5, { 'pids.max': '100\n', 'pids.current': '95\n' }),
    { limit: 'pids.max of /forks', used: 95, most: 100 },
    '95 of 100 tasks (pids.max of /forks)',
  ],
  [
    'limit-near',
    'warning',
    {
      '/proc/loadavg': '0.00 0.01 0.05 1/31000 777\n',
      '/proc/meminfo': meminfo({ KernelStack: 480_000 }),
      '/proc/9/status': status('S').replace('Threads:\t1', 'Threads:\t30999'),
    },
    { limit: 'pid_max', used: 31_000, most: 32_768 },
    '31000 of 32768 threads (pid_max)',
  ],
  [
    'limit-near',
    'warning',
    { '/proc/net/sockstat': 'TCP: inuse 1 orphan 0 tw 0 alloc 2 mem 295\nUDP: inuse 1 mem 1\n' },
    { limit: 'tcp_mem', used: 295 },
    '(tcp_mem)',
  ],
  [
    'limit-near',
    'warning',
    {
      '/proc/sys/net/ipv4/tcp_max_orphans': '60\n',
      '/proc/net/sockstat': 'TCP: inuse 1 orphan 61 tw 0 alloc 2 mem 1\nUDP: inuse 1 mem 1\n',
    },
    { limit: 'tcp_max_orphans', used: 61, most: 60 },
    '61 of 60 orphaned TCP sockets (tcp_max_orphans)',
  ],
  [
    'limit-near',
    'warning',
    { '/proc/sys/net/netfilter/nf_conntrack_count': '99\n', '/proc/sys/net/netfilter/nf_conntrack_max': '100\n' },
    { limit: 'nf_conntrack_max', used: 99 },
    '99 of 100',
  ],
  [
    'limit-near',
    'warning',
    {
      '/proc/9/status': status('S').replace('FDSize:\t64', 'FDSize:\t256'),
      '/proc/9/limits': limits(256),
      '/proc/9/comm': 'hoards\n',
      ...many(250, (fd) => [[`/proc/9/fd/${fd}`, '']]),
    },
    { limit: 'RLIMIT_NOFILE', pid: 9, used: 250, most: 256 },
    'pid 9 (hoards) uses 250 of 256',
  ],
  [
    'hypervisor-overcommitted',
    'warning',
    { '/proc/stat': stat(60_000, 20_000) },
    { stealShare: 0.25, stealSeconds: 200, recentShare: null },
    'it took away part of the CPU time that was needed (25 % since boot)',
  ],
  [
    'hypervisor-overcommitted',
    'note',
    { '/proc/stat': stat(90_000, 10_000) },
    { stealShare: 0.1 },
    'Confirm on the host',
  ],
  [
    'hugetlb-unused',
    'warning',
    hugePages(3000, 2900, 100),
    { bytes: 2800 * 2 ** 21, pages: 3000 },
    'Unused huge pages',
  ],
  ['hugetlb-unused', 'note', hugePages(700, 650, 0), { bytes: 650 * 2 ** 21 }, 'Unused huge pages'],
  [
    'hugetlb-unused',
    'warning',
    {
      ...hugePages(3000, 600, 0),
      '/proc/1/status': status('S', 1, 'HugetlbPages:\t 0 kB\n'),
      '/proc/9/status': status('S', 1, `HugetlbPages:\t ${1000 * 2048} kB\n`),
    },
    { bytes: 2000 * 2 ** 21, inFilesBytes: 1400 * 2 ** 21 },
    '2.73 GiB of it is in files of hugetlbfs or segments that no process maps.',
  ],
  [
    'zombies',
    'warning',
    {
      ...many(120, (pid) => [[`/proc/${pid}/status`, status('Z', 9)]]),
      '/proc/9/status': status('S'),
      '/proc/9/comm': 'forks\x1b[2J\n',
    },
    { zombies: 120, pid: 9 },
    '120 exited children of pid 9 (forks\\x1b[2J)',
  ],
  [
    'blocked-tasks',
    'warning',
    many(9, (pid) => [
      [`/proc/${pid}/status`, status('D')],
      [`/proc/${pid}/wchan`, 'rpc_wait_bit_killable'],
      [`/proc/${pid}/comm`, 'nfs\n'],
    ]),
    { tasks: 9, symbol: 'rpc_wait_bit_killable' },
    'Blocked tasks: the NFS server does not answer; 9 tasks wait for it, including pid 1000 (nfs) (state D).',
  ],
  [
    'blocked-tasks',
    'warning',
    many(9, (pid) => [
      [`/proc/${pid}/status`, status('D')],
      [`/proc/${pid}/wchan`, 'io_schedule'],
      [`/proc/${pid}/comm`, 'dd\n'],
    ]),
    { tasks: 9, symbol: 'io_schedule' },
    'in uninterruptible sleep (state D) in io_schedule',
  ],
  // A writer by its descriptor, and others that wait for the directory that another one has locked.
  [
    'blocked-tasks',
    'warning',
    many(9, (pid) => [
      [`/proc/${pid}/status`, status('D')],
      [`/proc/${pid}/wchan`, pid === 1000 ? 'percpu_rwsem_wait' : 'rwsem_down_write_slowpath'],
      [
        `/proc/${pid}/task/${pid}/stack`,
        pid === 1000 ? '[<0>] percpu_rwsem_wait+0x1/0x2\n[<0>] vfs_write+0x3/0x4\n' : '',
      ],
      [
        `/proc/${pid}/task/${pid}/syscall`,
        `${process.arch === 'x64' ? 1 : 64} 0x4 0x7ff 0x10 0x0 0x0 0x0 0x7ff 0x7ff\n`,
      ],
      [`/proc/${pid}/fdinfo/4`, 'pos:\t0\nflags:\t01\nmnt_id:\t31\n'],
      [`/proc/${pid}/mountinfo`, '31 20 8:1 / /srv\\040data rw - ext4 /dev/sda1 rw\n'],
      [`/proc/${pid}/cmdline`, 'postgres\0-D\0/srv data\0'],
      [`/proc/${pid}/comm`, 'postgres\n'],
    ]),
    {
      tasks: 9,
      cause: 'frozen',
      path: '/srv data',
      fileSystem: 'ext4',
      source: '/dev/sda1',
      behind: 8,
      commands: 'postgres -D /srv data',
    },
    'Blocked tasks: the file system at /srv data is frozen; 9 tasks wait for it, including pid 1000 (postgres) (state D). 8 of them wait for a lock or lookup, probably behind the others. A snapshot or fsfreeze froze it: fsfreeze -u thaws it.',
  ],
  [
    'blocked-tasks',
    'warning',
    many(9, (pid) => [
      [`/proc/${pid}/status`, status('D')],
      [`/proc/${pid}/wchan`, 'kernel_clone'],
    ]),
    { tasks: 9, symbol: 'kernel_clone', cause: 'vfork' },
    'Blocked tasks: 9, including pid 1000 (?), wait (state D) until their children call exec or exit (vfork).',
  ],
  [
    'blocked-tasks',
    'warning',
    many(9, (pid) => [
      [`/proc/${pid}/status`, status('D')],
      [`/proc/${pid}/wchan`, '0'],
      [
        `/proc/${pid}/task/${pid}/stack`,
        '[<0>] rpc_wait_bit_killable+0x11/0x70 [sunrpc]\n[<0>] \x1b[2J+0x1/0x2\n[<0>] nfs4_do_close+0x2a/0x30\n',
      ],
    ]),
    { tasks: 9, symbol: 'rpc_wait_bit_killable', stack: 'rpc_wait_bit_killable ← nfs4_do_close' },
    'Its stack: rpc_wait_bit_killable ← nfs4_do_close.',
  ],
  [
    'cgroup-near-limit',
    'warning',
    cgroup('a\nb', 950_000),
    { cgroup: '/a\nb', limit: 'memory.max', limitBytes: 1_000_000, reclaimableBytes: 2000 },
    '/a\\x0ab uses',
  ],
  [
    'cgroup-near-limit',
    'warning',
    cgroup('slow', 900_500, {
      'memory.max': 'max\n',
      'memory.high': '900000\n',
      'memory.events': 'high 90\noom_kill 0\n',
      'memory.pressure': psi(60, 50),
    }),
    { limit: 'memory.high', fullAvg60: 50 },
    'Cgroup throttled: /slow',
  ],
  [
    'memory-pressure',
    'warning',
    {
      ...cgroup('pods', 999_000, { 'memory.max': 'max\n', 'memory.pressure': psi(30, 20) }),
      // Full of page cache: near its limit, but only stalls would show that it needs more.
      ...cgroup('pods/web', 990_000, {
        'memory.stat': 'inactive_file 400000\nactive_file 400000\n',
        'memory.pressure': psi(30, 20),
      }),
      '/proc/9/status': status('S', 1, 'RssAnon:\t 100 kB\n'),
      '/proc/9/comm': 'scans\n',
      '/proc/9/cgroup': '0::/pods/web/inner\n',
      '/proc/8/status': status('S', 1, 'RssAnon:\t 900 kB\n'),
      '/proc/8/cgroup': '0::/pods/web2\n',
    },
    { cgroup: '/pods/web', fullAvg60: 20, usedBytes: 990_000, pid: 9, anonBytes: 102_400 },
    'Largest process: pid 9 (scans)',
  ],
])('%s (%s)', (code, severity, changes, figures, words) => {
  test('is found, and nothing else, with its owner and figure', () => {
    const { findings, reader } = triaged(changes);
    expect(findings).toMatchObject([{ code, severity, figures }]);
    const [finding] = findings;
    expect(finding && findingWords(finding)).toContain(words);
    // The next step runs on the host of the hypervisor.
    const isOfKeys = /^keys of/.test(String(finding?.figures.limit));
    const hasNone = code === 'hypervisor-overcommitted' || isOfKeys || finding?.figures.limit === 'nf_conntrack_max';
    expect(finding?.next === undefined).toBe(hasNone);
    expect(reader.unread).toEqual([]);
  });
});

describe('one word of /proc that is damaged, missing or contradicts another', () => {
  const scene = {
    '/proc/meminfo': meminfo({
      KernelStack: 1_000_000,
      PageTables: 1_500_000,
      Shmem: 2_100_000,
      VmallocUsed: 1_100_000,
      'Active(anon)': 2_000_000,
      'Inactive(anon)': 2_050_000,
    }),
    '/proc/9/status': status('S').replace('Threads:\t1', 'Threads:\t60000'),
    '/proc/8/status': status('S').replace(' 44 kB', ' 1400000 kB'),
    '/proc/loadavg': '0.00 0.01 0.05 1/60010 777\n',
    '/proc/sys/kernel/pid_max': '4194304\n',
    ...many(12, (pid) => [[`/proc/${pid}/status`, status('Z', 9).replace('FDSize:\t64', 'FDSize:\t0')]]),
    '/proc/self/mountinfo': '20 1 0:20 / /dev/shm rw - tmpfs tmpfs rw\n',
    '/proc/sysvipc/shm': `heading\n 0 7 600 2048000000 1 1 0 0 0 0 0 0 0 0 2048000000 0\n`,
    '/sys/fs/cgroup/web.slice/memory.max': '1000000\n',
    ...cgroup('db.slice', 1_500_000_000, {
      'memory.max': '2000000000\n',
      'memory.stat': 'inactive_anon 1000000000\nactive_anon 400000000\n',
    }),
    '/proc/vmallocinfo': '0x03-0x04 4096 kernel_clone+0x2e4/0x5a0 pages=270000 vmalloc\n',
  };
  const answered = (path: string, from: string | RegExp, to: string) => {
    const text = (scene as Readonly<Record<string, string>>)[path] ?? '';
    const changed = text.replace(from, to);
    if (from !== '') expect(changed).not.toBe(text);
    const files = { ...HEALTHY, ...scene, [path]: changed };
    const source = { ...madeSource({ files, links: {} }), file: () => ({}) as never };
    const reader = new HostReader(source, 4096);
    const findings = hostFindings(reader);
    return { codes: findings.map(({ code }) => code), unread: reader.unread };
  };

  test('undamaged: all findings, and nothing unread', () => {
    const { codes, unread } = answered('/proc/loadavg', '', '');
    expect(codes.toSorted()).toEqual(['kernel-stacks', 'page-tables', 'shared-memory', 'zombies'].toSorted());
    expect(unread).toEqual([]);
  });

  test.each([
    ['/proc/meminfo', /(?<=PageTables: +)1500000/, '1500', 'processes'],
    ['/proc/meminfo', /(?<=KernelStack: +)1000000/, '1000', 'processes'],
    ['/proc/meminfo', /(?<=Shmem: +)2100000/, '2100', 'shared-memory'],
    ['/proc/meminfo', /(?<=Shmem: +)2100000/, '9100000', 'shared-memory'],
    ['/proc/meminfo', /(?<=VmallocUsed: +)1100000/, '1100', 'vmalloc'],
    ['/proc/vmallocinfo', 'pages=270000', 'pages=27', 'vmalloc'],
    ['/proc/loadavg', '/60010', '/', 'processes'],
    ['/proc/8/status', /VmPTE:.*\n/, '', 'processes'],
    ['/proc/8/status', '1400000', '14000', 'processes'],
    ['/proc/8/status', '1400000', '14000000', 'processes'],
    ['/proc/9/status', '60000', '6000', 'processes'],
    ['/proc/9/status', /Threads:.*\n/, '', 'processes'],
    ['/proc/loadavg', '60010', '610', 'processes'],
    ['/proc/1003/status', 'State:\tZ', 'State:\tS', 'processes'],
    ['/proc/sysvipc/shm', '2048000000 0\n', '20480 0\n', 'shared-memory'],
    ['/proc/sysvipc/shm', '2048000000 0\n', '-\n', 'shared-memory'],
    ['/sys/fs/cgroup/web.slice/memory.max', '1000000\n', '', 'cgroups'],
    ['/sys/fs/cgroup/db.slice/memory.current', '1500000000', '15000000', 'cgroups'],
    ['/sys/fs/cgroup/db.slice/memory.current', '1500000000', '1500000000000', 'cgroups'],
    ['/sys/fs/cgroup/db.slice/memory.stat', '400000000', '40000000000', 'cgroups'],
  ])('%s: %s → %s', (path, from, to, check) => {
    const { unread } = answered(path, from, to);
    expect(unread.map((one) => one.check)).toContain(check);
  });
});

test('counts inotify instances and watches of each user, with the largest process', () => {
  const own = (pid: number, uid: number, fds: number) => ({
    links: many(fds, (fd) => [[`/proc/${pid}/fd/${fd}`, 'anon_inode:inotify']]),
    files: {
      [`/proc/${pid}/status`]: `${status('S')}Uid:\t${uid}\t0\t0\t0\n`,
      [`/proc/${pid}/comm`]: `p${pid}\n`,
      ...many(fds, (fd) => [[`/proc/${pid}/fdinfo/${fd}`, 'flags:\t00\ninotify wd:1 ino:2\ninotify wd:2 ino:3\n']]),
    },
  });
  const [few, much, other] = [own(7, 1000, 40), own(8, 1000, 80), own(9, 0, 50)];
  const files = {
    ...HEALTHY,
    ...few.files,
    ...much.files,
    ...other.files,
    '/proc/sys/fs/inotify/max_user_instances': '128\n',
    '/proc/sys/fs/inotify/max_user_watches': '1000\n',
  };
  const links = { ...few.links, ...much.links, ...other.links, '/proc/1/fd/0': '/dev/null' };
  const host = { ...madeSource({ files, links }), file: () => ({}) as never };
  const reader = new HostReader(host, 4096);
  const findings = hostFindings(reader);
  expect(findings).toMatchObject([
    {
      code: 'limit-near',
      figures: { limit: 'max_user_instances of uid 1000', used: 120, most: 128, mostPid: 8 },
      next: 'procs --pid 8 --fds',
    },
  ]);
  expect(findingWords(findings[0]!)).toContain(
    '120 of 128 inotify instances (max_user_instances of uid 1000); pid 8 (p8) has the most.',
  );
  expect(reader.checked).toContain('inotify');
  const isVisible = ([path]: readonly [string, unknown]) => !path.startsWith('/proc/1/');
  const visible = <T>(all: Readonly<Record<string, T>>) => Object.fromEntries(Object.entries(all).filter(isVisible));
  const hiding = new HostReader({ ...host, ...madeSource({ files: visible(files), links: visible(links) }) }, 4096);
  hostFindings(hiding);
  expect(hiding.checked).not.toContain('inotify');
});

test('names the process with the largest BPF maps, and no owner of a map that is only pinned', () => {
  const files = {
    ...HEALTHY,
    '/proc/meminfo': meminfo({ VmallocUsed: 1_000_000 }),
    '/proc/vmallocinfo': '0x03-0x04 4096 array_map_alloc+0x92/0x230 pages=240000 vmalloc\n',
    '/proc/7/status': status('S'),
    '/proc/7/comm': 'maps\n',
    '/proc/7/fdinfo/3': 'pos:\t0\nmap_id:\t4\nmemlock:\t900000000\n',
  };
  const links = { '/proc/7/fd/3': 'anon_inode:bpf-map', '/proc/1/fd/0': '/dev/null' };
  const host = { ...madeSource({ files, links }), file: () => ({}) as never };
  const [finding] = hostFindings(new HostReader(host, 4096));
  expect(finding).toMatchObject({
    code: 'vmalloc',
    figures: { pid: 7, comm: 'maps', mapBytes: 900_000_000 },
    next: 'procs --pid 7 --fds',
  });
  expect(findingWords(finding!)).toContain('pid 7 (maps) has BPF maps of 858 MiB open.');
  // Ring buffers are in another row.
  const reader = new HostReader(host, 4096);
  const processes = [{ pid: 7, comm: 'maps', bytes: 800_000_000 }];
  reader.memory = { named: [{ kind: 'trace-rings', name: 'BPF', figures: {}, processes }] } as unknown as MemoryAnswer;
  expect(hostFindings(reader)[0]?.figures).toMatchObject({ pid: 7, mapBytes: 100_000_000 });
});

test('reports unreadable callers of vmalloc as unknown', () => {
  const { findings, reader } = triaged(
    { '/proc/meminfo': meminfo({ VmallocUsed: 1_000_000 }), '/proc/vmallocinfo': '' },
    ['/proc/vmallocinfo'],
  );
  expect(findings).toMatchObject([{ code: 'vmalloc', figures: { caller: null } }]);
  expect(reader.unread).toMatchObject([{ check: 'vmalloc', code: 'denied' }]);
});

test('does not report reclaimable page cache as a shortage of a cgroup', () => {
  const stat = { 'memory.stat': 'inactive_file 500000\nactive_file 1000\n' };
  expect(triaged(cgroup('caches', 990_000, stat)).findings).toEqual([]);
});

test('counts OOM kills in the cgroup where they occurred, not in its ancestors', () => {
  const events = { 'memory.events': 'high 0\noom_kill 4\n' };
  const { findings } = triaged({ ...cgroup('top', 1, events), ...cgroup('top/below', 1, events) });
  expect(findings.map(({ figures }) => figures)).toEqual([{ kills: 4, cgroup: '/top/below' }]);
});

test('names the largest process of a cgroup only if no unreadable process can be larger', () => {
  const named = (anonKib: number) => {
    const { findings, reader } = triaged({
      ...cgroup('web', 950_000),
      '/proc/8/status': 'Name:\tx\n',
      '/proc/9/status': status('S', 1, `RssAnon:\t ${anonKib} kB\n`),
      '/proc/9/cgroup': '0::/web\n',
    });
    // Unreadable files hide processes, but no cgroup.
    expect(reader.unread.map(({ check }) => check)).toEqual(['processes']);
    return findings.find(({ code }) => code === 'cgroup-near-limit')?.figures.pid;
  };
  expect(named(600)).toBe(9);
  expect(named(100)).toBeNull();
});

test('reports tasks of version 1 cgroups near their limit', () => {
  const folder = '/sys/fs/cgroup/pids/forks';
  const { findings } = triaged({
    '/sys/fs/cgroup/cgroup.procs': null,
    '/sys/fs/cgroup/memory/tasks': '1\n',
    [`${folder}/pids.max`]: '100\n',
    [`${folder}/pids.current`]: '95\n',
  });
  expect(findings).toMatchObject([
    { code: 'limit-near', figures: { limit: 'pids.max of /forks', used: 95, most: 100 } },
  ]);
});

test('reports limits and kills of version 1 cgroups', () => {
  const v1 = {
    'memory.usage_in_bytes': '950000\n',
    'memory.limit_in_bytes': '1000000\n',
    'memory.stat': 'total_inactive_file 10\ntotal_active_file 10\n',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
  };
  const { findings, reader } = triaged({
    '/sys/fs/cgroup/cgroup.procs': null,
    ...Object.fromEntries(Object.entries(v1).map(([file, text]) => [`/sys/fs/cgroup/memory/pod/${file}`, text])),
  });
  expect(reader.unread).toEqual([]);
  expect(findings).toMatchObject([
    { code: 'cgroup-near-limit', figures: { cgroup: '/pod', limit: 'memory.limit_in_bytes' } },
    { code: 'oom-kills', figures: { cgroup: '/pod', kills: 2 } },
  ]);
});

test('a cgroup without children is not listed, and answers like one that is', () => {
  const pod = (pids: number, bytes: number) => ({
    'memory.usage_in_bytes': `${bytes}\n`,
    'memory.limit_in_bytes': '1000000\n',
    'memory.stat': 'total_inactive_file 10\ntotal_active_file 10\n',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    'pids.max': '100\n',
    'pids.current': `${pids}\n`,
  });
  const pods = Object.entries({
    'kubepods/pod1/one': pod(95, 1),
    'kubepods/pod1/two': pod(1, 950_000),
    'x/y': pod(2, 3),
  });
  const source = madeSource({
    files: {
      ...Object.fromEntries(Object.entries(HEALTHY).filter(([path]) => !path.startsWith('/sys/fs/cgroup/'))),
      ...Object.fromEntries(
        pods.flatMap(([name, files]) =>
          Object.entries(files).map(([file, text]) => [`/sys/fs/cgroup/memory/${name}/${file}`, text]),
        ),
      ),
    },
  });
  const list = source.list.bind(source);
  const answer = (subfolders?: (path: string) => number) => {
    const folders: string[] = [];
    const counting = (path: string) => {
      folders.push(path);
      return list(path);
    };
    const host = new HostReader(Object.assign(source, { list: counting, ...(subfolders ? { subfolders } : {}) }), 4096);
    const findings = hostFindings(host).filter(({ figures }) => 'cgroup' in figures || 'limit' in figures);
    return {
      findings,
      unread: host.unread,
      listed: folders.filter((path) => path.startsWith('/sys/fs/cgroup/memory')),
    };
  };
  const all = answer();
  const quick = answer((path) => (path.endsWith('/two') || path.endsWith('/one') ? 0 : 1));
  expect(all.findings.map(({ code }) => code)).toEqual(expect.arrayContaining(['cgroup-near-limit', 'oom-kills']));
  expect({ findings: quick.findings, unread: quick.unread }).toEqual({ findings: all.findings, unread: all.unread });
  expect(quick.listed.length).toBe(all.listed.length - 1);
});

test('kills in cgroups are not reported again for the machine', () => {
  const kills = (all: number) =>
    triaged({
      '/proc/vmstat': `oom_kill ${all}\ncompact_stall 7\ncompact_fail 3\n`,
      ...cgroup('web.slice', 500, { 'memory.events': 'oom_kill 2\n' }),
    }).findings.map(({ figures }) => figures);
  expect(kills(2)).toEqual([{ kills: 2, cgroup: '/web.slice' }]);
  // A cgroup that is gone had others.
  expect(kills(5)).toEqual([
    { kills: 2, cgroup: '/web.slice' },
    { kills: 5, cgroup: null },
  ]);
});

test('reports that a process may have more descriptors than a snapshot contains', () => {
  const { findings, reader } = triaged({
    '/proc/9/status': status('S').replace('FDSize:\t64', 'FDSize:\t256'),
    '/proc/9/limits': limits(256),
    '/proc/8/status': status('S').replace('FDSize:\t64', 'FDSize:\t256'),
    '/proc/8/limits': limits(256),
    ...many(100, (fd) => [[`/proc/9/fd/${fd}`, '']]),
  });
  expect(findings).toEqual([]);
  expect(reader.checked).not.toContain('processes');
  expect(reader.unread).toMatchObject([
    { check: 'processes', why: 'descriptors of 2 processes: a snapshot contains only those of sockets and pipes' },
  ]);
});

test('reports stalls of a text that has only their file', () => {
  const { findings } = triaged({ '/proc/meminfo': null, '/proc/pressure/memory': psi(30, 20) });
  expect(findings).toMatchObject([{ code: 'memory-pressure', figures: { fullAvg60: 20, swapUsedBytes: null } }]);
});

test('names a limit that other network namespaces than the initial one lack', () => {
  const { reader } = triaged({ '/proc/sys/net/ipv4/tcp_mem': null });
  expect(reader.unread).toMatchObject([
    { check: 'limits', code: 'gone', why: '/proc/sys/net/ipv4/tcp_mem is not available in this network namespace' },
  ]);
});

describe('never reports a missing or malformed source as clean:', () => {
  const optional = new Set(['/proc/slabinfo', '/proc/1/comm']);
  const paths = Object.keys(HEALTHY).filter((path) => !optional.has(path) && !path.startsWith('/sys/fs/cgroup/'));

  test.each(paths)('%s missing, denied, or malformed', (path) => {
    for (const reader of [
      // A process that exits during the run is no loss.
      ...(path === '/proc/1/status' ? [] : [triaged({ [path]: null }).reader]),
      triaged({}, [path]).reader,
      triaged({ [path]: '\u0000x\n' }).reader,
    ]) {
      expect(reader.unread).not.toEqual([]);
      const [{ check = '', hides = '' } = {}] = reader.unread;
      expect(reader.checked).not.toContain(check);
      expect(hides).not.toBe('');
    }
  });

  test.each(['memory.current', 'memory.max'])('%s of a cgroup malformed', (file) => {
    const { reader } = triaged({ [`/sys/fs/cgroup/web.slice/${file}`]: 'x\n' });
    expect(reader.unread).toMatchObject([{ check: 'cgroups', code: 'unreadable' }]);
  });

  test('no cgroups', () => {
    const gone = Object.keys(HEALTHY).filter((path) => path.startsWith('/sys/fs/cgroup/'));
    const { reader } = triaged(Object.fromEntries(gone.map((path) => [path, null])));
    expect(reader.unread).toMatchObject([{ check: 'cgroups' }]);
  });

  test('hidden processes', () => {
    const { reader } = triaged({ '/proc/1/status': null, '/proc/1/comm': null, '/proc/9/status': status('S') });
    expect(reader.unread).toMatchObject([{ check: 'processes', code: 'denied' }]);
  });

  test('reads no process file that takes its mmap_lock', () => {
    // A capture has no locks: only a running host reports facts of files.
    const source = { ...madeSource({ files: HEALTHY }), file: () => ({}) as never };
    hostFindings(new HostReader(source, 4096));
    expect(source.asked).toContain('/proc/1/status');
    for (const path of source.asked) expect(path).not.toMatch(/^\/proc\/\d+\/(?:smaps|maps|cmdline|environ|stack)/);
  });
});

describe('steal time', () => {
  /** The source changes while the checks run: the second read of /proc/stat differs. */
  function during(before: string, after: string) {
    const source = madeSource({ files: HEALTHY });
    let reads = 0;
    const readText = (path: string) => (path !== '/proc/stat' ? source.readText(path) : reads++ === 0 ? before : after);
    const reader = new HostReader({ ...source, readText }, 4096);
    return hostFindings(reader);
  }

  test('is measured during the run, too, since a long uptime hides it', () => {
    const [finding] = during(stat(9_000_000, 0), stat(9_000_200, 100));
    expect(finding).toMatchObject({
      code: 'hypervisor-overcommitted',
      severity: 'warning',
      figures: { recentShare: 1 / 3 },
    });
    expect(findingWords(finding!)).toBe(
      'The hypervisor may be overcommitted: it took away part of the CPU time that was needed (< 1 % since boot, 33 % during this check). Confirm on the host: its CPU load, and ready or steal time of this guest.',
    );
  });

  test('is no finding below one second or a tenth, or if the counter decreases', () => {
    expect(during(stat(9_000_000, 0), stat(9_000_020, 70))).toEqual([]);
    expect(during(stat(9_000_000, 0), stat(9_000_920, 100))).toEqual([]);
    expect(during(stat(9_000_000, 900), stat(9_000_200, 100))).toEqual([]);
    expect(during(stat(5000, 990), stat(5000, 990))).toEqual([]);
  });

  test('is reported if unreadable or malformed', () => {
    const { reader } = triaged({ '/proc/stat': 'cpu  1 2 3\n' });
    expect(reader.unread).toMatchObject([{ check: 'cpu-steal', why: 'malformed /proc/stat' }]);
    expect(triaged({ '/proc/stat': null }).reader.unread).toMatchObject([{ check: 'cpu-steal' }]);
  });
});

describe('unread messages', () => {
  // sysvipc_msg_proc_show, ipc/msg.c.
  const HEADING =
    '       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime';
  const pad = (value: number, width: number) => String(value).padStart(width);
  const queue = (id: number, bytes: number, messages: number, sender = 7, receiver = 0) =>
    [
      [pad(0, 10), pad(id, 10), ' 600', ` ${pad(bytes, 10)}`, pad(messages, 10), pad(sender, 5), pad(receiver, 5)],
      [1, 2, 1000, 4].map((one) => pad(one, 5)),
      [2000, receiver && 3000, 1000].map((one) => pad(one, 10)),
    ]
      .flat()
      .join(' ');
  /** Of a process that began 5 s after the boot. */
  const stat = (pid: number) => `${pid} (a) b) S ${'0 '.repeat(18)}500 0\n`;
  const texts = (...rows: string[]) => ({
    '/proc/sysvipc/msg': [HEADING, ...rows, ''].join('\n'),
    '/proc/meminfo': meminfo({ SUnreclaim: 500_000 }),
    '/proc/stat': `${HEALTHY['/proc/stat']}btime 1000\n`,
    '/proc/7/comm': 'sender\n',
    '/proc/7/stat': stat(7),
    '/proc/8/comm': 'receiver\n',
    '/proc/8/stat': stat(8),
  });
  const messagesOf = (changes: Record<string, string>) => {
    const { findings, reader } = triaged(changes);
    return {
      own: findings.filter(({ code }) => code === 'message-queues'),
      unread: reader.unread.filter(({ check }) => check === 'message-queues'),
    };
  };

  test('count with their headers; the largest queue has its last sender and receiver', () => {
    const { own, unread } = messagesOf(texts(queue(3, 20_000 * 4048, 20_000, 7, 8), queue(4, 100, 1), queue(5, 0, 0)));
    expect(own).toMatchObject([
      { severity: 'note', figures: { bytes: 20_000 * 4096 + 148, queues: 2, name: 'queue 3', messages: 20_000 } },
    ]);
    expect(own[0]?.figures).toMatchObject({ uid: 1000, comm: 'sender', receiverPid: 8, receiverComm: 'receiver' });
    expect(findingWords(own[0]!)).toMatch(
      /sent to by pid 7 \(sender\).*Last received: 1970-01-01 00:50:00 UTC, by pid 8/s,
    );
    expect(unread).toEqual([]);
  });

  test.each([
    ['began after the message', { '/proc/stat': `${HEALTHY['/proc/stat']}btime 2000\n` }],
    ['may have, by a boot time that is damaged', { '/proc/stat': `${HEALTHY['/proc/stat']}btime x\n` }],
    ['may have, since its start is unknown', { '/proc/7/stat': '' }],
  ])('a process that %s is not named', (_, changes) => {
    const { own } = messagesOf({ ...texts(queue(3, 99e6, 9)), ...changes });
    expect(own).toMatchObject([{ figures: { pid: 7, comm: null, receiverPid: null, receiveTime: null } }]);
    expect(findingWords(own[0]!)).toContain('No process ever received from it.');
  });

  test.each([
    ['a row that is cut', [queue(3, 99e6, 9).slice(0, 60)]],
    ['a word that is no number', [queue(3, 99e6, 9).replace('99000000', '9x000000')]],
    ['data without a message', [queue(3, 99e6, 0)]],
    ['more columns', [`${queue(3, 10, 9)} 4`]],
    ['a time that is none', [queue(3, 99e6, 9).replace('      1000', '1000000000000')]],
    ['a queue that is in it twice', [queue(3, 10, 9), queue(3, 99e6, 9)]],
  ])('of a damaged file are missing: %s', (_, rows) => {
    const { own, unread } = messagesOf(texts(...rows));
    expect(own).toEqual([]);
    expect(unread).toMatchObject([{ why: expect.stringMatching(/^malformed .*\/proc\/sysvipc\/msg$/) }]);
  });

  test('larger than the memory of the machine are not read', () => {
    const { own, unread } = messagesOf(texts(queue(3, 2 ** 52, 9)));
    expect(own).toEqual([]);
    expect(unread).toMatchObject([{ why: expect.stringMatching(/^messages of queue 3: 4.00 PiB, more than this/) }]);
  });

  test('of a file without its heading are missing; a kernel without the file has none', () => {
    const { '/proc/sysvipc/msg': _, ...others } = texts();
    expect(messagesOf({ ...others, '/proc/sysvipc/msg': '' }).unread).toHaveLength(1);
    expect(messagesOf(others)).toEqual({ own: [], unread: [] });
  });
});

test('names what bpffs keeps, if processes have little of the BPF maps open', () => {
  const files = {
    ...HEALTHY,
    '/proc/meminfo': meminfo({ VmallocUsed: 1_000_000 }),
    '/proc/vmallocinfo': '0x03-0x04 4096 array_map_alloc+0x92/0x230 pages=240000 vmalloc\n',
    '/proc/self/mountinfo': '30 20 0:30 / /sys/fs/bpf rw - bpf bpf rw\n',
    '/proc/1/mountinfo': '40 20 0:30 / /sys/fs/bpf rw - bpf bpf rw\n',
    '/sys/fs/bpf/tc/globals/flows': '',
    '/sys/fs/bpf/maps.debug': '',
    '/sys/fs/bpf/counters': '',
    '/proc/7/comm': 'maps\n',
    '/proc/7/status': status('S'),
    '/proc/7/fdinfo/3': 'map_id:\t4\nmemlock:\t900000\n',
  };
  const links = { '/proc/7/fd/3': 'anon_inode:bpf-map', '/proc/1/fd/0': '/dev/null' };
  const file = (path: string) => ({ isFolder: /\/(?:tc|globals)$/.test(path) }) as never;
  const vmallocOf = (of: Record<string, string>) => {
    const all = hostFindings(new HostReader({ ...madeSource({ files: { ...files, ...of }, links }), file }, 4096));
    return all.find(({ code }) => code === 'vmalloc')!;
  };
  const finding = vmallocOf({});
  expect(finding.figures).toMatchObject({
    pid: 7,
    pinned: '/sys/fs/bpf/tc/globals/flows, /sys/fs/bpf/counters',
    pinnedObjects: 2,
  });
  expect(findingWords(finding)).toContain('bpffs keeps 2 objects: /sys/fs/bpf/tc/globals/flows,');
  const held = vmallocOf({ '/proc/7/fdinfo/3': 'map_id:\t4\nmemlock:\t900000000\n' });
  expect(held.figures).not.toHaveProperty('pinned');
});

describe('pinned pages', () => {
  const GIB = 2 ** 30;
  const pinsOf = (lines: string, links: Record<string, string>, vmstat = '', named: readonly NamedMemory[] = []) => {
    const files = { ...HEALTHY, '/proc/7/comm': 'vm\n', '/proc/7/status': status('S', 1, lines) };
    const all = { ...files, '/proc/vmstat': `${HEALTHY['/proc/vmstat']}${vmstat}` };
    const source = {
      ...madeSource({ files: all, links: { '/proc/1/fd/0': '/dev/null', ...links } }),
      file: () => ({}) as never,
    };
    const reader = new HostReader(source, 4096);
    if (named.length > 0) reader.memory = { named } as unknown as MemoryAnswer;
    const findings = hostFindings(reader).filter(({ code }) => code === 'pinned-pages');
    return { findings, unread: reader.unread.filter(({ hides }) => hides.startsWith('pins')) };
  };
  const locked = `VmLck:\t${2 * 2 ** 20} kB\n`;

  test('of VFIO are in VmLck: an upper bound with its kind; of mlocked memory alone there are none', () => {
    const [finding, ...others] = pinsOf(locked, { '/proc/7/fd/9': '/dev/vfio/12' }).findings;
    expect(others).toEqual([]);
    expect(finding?.figures).toMatchObject({ pid: 7, comm: 'vm', pinnedBytes: 2 * GIB, kinds: 'VFIO' });
    expect(findingWords(finding!)).toMatch(/^Pinned pages: the kernel pinned up to 2\.00 GiB .* \(VmPin and VmLck\)\./);
    expect(pinsOf(locked, { '/proc/7/fd/9': '/srv/dev/vfio/12' }).findings).toEqual([]);
  });

  // do_update_pinned of drivers/iommu/iommufd/pages.c: in VmPin, and for a container of VFIO in VmLck too.
  test.each([
    ['a container', '/dev/vfio/vfio', 'VFIO', locked],
    ['a device without a group', '/dev/vfio/devices/vfio0', 'iommufd', ''],
    ['its own file, beside mlocked memory', '/dev/iommu', 'iommufd', 'VmLck:\t99 kB\n'],
  ])('of an iommufd count once: by %s', (_, link, kinds, more) => {
    const { findings } = pinsOf(`${locked.replace('Lck', 'Pin')}${more}`, { '/proc/7/fd/9': link });
    expect(findings).toMatchObject([{ figures: { pid: 7, pinnedBytes: 2 * GIB, kinds } }]);
  });

  test.each([
    ['no process counts', 'nr_foll_pin_acquired 1000000\nnr_foll_pin_released 400000\n', '', 600_000 * 4096],
    [
      'processes count in part',
      'nr_foll_pin_acquired 1000000\nnr_foll_pin_released 1\n',
      `VmPin:\t512000 kB\n${locked}`,
      999_999 * 4096 - 512_000 * 1024,
    ],
  ])('that %s are an upper bound, with a candidate', (_, vmstat, lines, bytes) => {
    const [finding] = pinsOf(lines, { '/proc/7/fd/9': 'anon_inode:[io_uring]' }, vmstat).findings;
    expect(finding).toMatchObject({
      severity: 'note',
      figures: { pid: 7, kinds: 'io_uring', pinnedBytes: bytes, uncounted: 1 },
    });
    expect(findingWords(finding!)).toContain('pid 7 (vm) has io_uring open.');
  });

  test('that no process counts are not hidden by rings of perf in VmPin', () => {
    const vmstat = 'nr_foll_pin_acquired 600000\nnr_foll_pin_released 0\n';
    const pinned = `VmPin:\t${600_000 * 4} kB\n`;
    const uncounted = (named: readonly NamedMemory[]) =>
      pinsOf(pinned, {}, vmstat, named).findings.flatMap(({ figures }) =>
        figures.uncounted ? figures.pinnedBytes : [],
      );
    const perf = { kind: 'trace-rings', name: 'perf', category: 'rings', bytes: 0, source: '' } as const;
    expect(uncounted([{ ...perf, figures: { pinnedBytes: 0 } }])).toEqual([]);
    expect(uncounted([{ ...perf, figures: { pinnedBytes: 2 * GIB } }])).toEqual([2 * GIB]);
  });

  test.each([
    'nr_foll_pin_acquired 1000000\n',
    'nr_foll_pin_acquired 5\nnr_foll_pin_released 900000\n',
    'nr_foll_pin_acquired x\nnr_foll_pin_released 0\n',
  ])('by a damaged counter are unknown: %j', (vmstat) => {
    expect(pinsOf('', {}, vmstat)).toMatchObject({ findings: [], unread: [{ why: 'malformed /proc/vmstat' }] });
  });

  test('that were released are none, nor are those of a kernel without the counter', () => {
    for (const vmstat of ['nr_foll_pin_acquired 5\nnr_foll_pin_released 9\n', ''])
      expect(pinsOf('', {}, vmstat)).toEqual({ findings: [], unread: [] });
  });
});

test('a loop device is named as the holder of its file in memory, deleted or not', () => {
  const MIB = 2 ** 20;
  // The form of loop_attr_backing_file_show (drivers/block/loop.c), as this host printed it.
  const loops = (first: string) => ({
    '/sys/block/loop0/loop/backing_file': `${first}\n`,
    '/sys/block/loop0/size': `${(3000 * MIB) / 512}\n`,
    '/sys/block/loop1/loop/backing_file': '/var/lib/image (deleted)\n',
    '/sys/block/loop1/size': `${(9000 * MIB) / 512}\n`,
    '/sys/block/sda/size': '99\n',
  });
  const sharedOf = (first: string, name?: string) => {
    const files = {
      ...HEALTHY,
      ...loops(first),
      '/proc/meminfo': meminfo({ Shmem: 3_072_000 }),
      '/proc/self/mountinfo': '20 1 0:20 / /dev/shm rw - tmpfs tmpfs rw\n',
      ...(name === undefined ? {} : { [`/dev/shm/${name}`]: '' }),
    };
    const file = (path: string) => {
      const isFolder = path === '/dev/shm';
      return { device: 20, inode: path.length, bytes: isFolder ? 0 : 3000 * MIB, isFile: !isFolder, isFolder };
    };
    const source = { ...madeSource({ files }), file, tmpfs: () => ({ used: 3000 * MIB, limit: 9000 * MIB }) };
    return hostFindings(new HostReader(source, 4096)).find(({ code }) => code === 'shared-memory')!;
  };
  const deleted = sharedOf('/dev/shm/image (deleted)');
  expect(deleted.figures).toMatchObject({ kind: 'tmpfs', loop: 'loop0', loopBytes: 3000 * MIB });
  expect(findingWords(deleted)).toContain('loop0 has /dev/shm/image (deleted) attached, at most 2.93 GiB');
  expect(sharedOf('/dev/shm/image', 'image').figures).toMatchObject({ name: '/dev/shm/image', loop: 'loop0' });
  expect(sharedOf('/dev/shmem/image (deleted)').figures).not.toHaveProperty('loop');
});

describe('file watches', () => {
  const lines = (line: string, count: number) => `pos:\t0\n${`${line}\n`.repeat(count)}`;
  const watchesOf = (infos: Record<string, readonly [link: string, info: string]>, slabinfo = '', more = {}) => {
    const files: Record<string, string> = {
      ...HEALTHY,
      '/proc/slabinfo': slabinfo,
      ...more,
      '/proc/7/comm': 'indexer\n',
      '/proc/7/status': `${status('S')}Uid:\t0\t0\t0\t0\n`,
      '/proc/sys/fs/inotify/max_user_instances': '128\n',
      '/proc/sys/fs/inotify/max_user_watches': '1000000\n',
    };
    const links: Record<string, string> = { '/proc/1/fd/0': '/dev/null' };
    for (const [fd, [link, info]] of Object.entries(infos)) {
      links[`/proc/7/fd/${fd}`] = link;
      files[`/proc/7/fdinfo/${fd}`] = info;
    }
    const source = madeSource({ files, links });
    const findings = hostFindings(new HostReader({ ...source, file: () => ({}) as never }, 4096));
    return { own: findings.filter(({ code }) => code === 'file-watches'), asked: source.asked };
  };
  // ep_show_fdinfo (fs/eventpoll.c), fanotify_fdinfo (fs/notify/fdinfo.c).
  const epoll = [
    'anon_inode:[eventpoll]',
    lines('tfd:        5 events:       19 data:                5  pos:0 ino:1 sdev:f', 400_000),
  ] as const;
  const fanotify = [
    'anon_inode:[fanotify]',
    `fanotify flags:0 event-flags:0\n${lines('fanotify ino:2 sdev:1 mflags:0 mask:2 ignored_mask:0 fhandle-bytes:8', 70_000)}`,
  ] as const;

  test('of fanotify count each mark, without the line of the group', () => {
    const { own } = watchesOf({ 3: fanotify, 4: ['anon_inode:inotify', lines('inotify wd:1 ino:2 sdev:1 mask:2', 9)] });
    expect(own).toMatchObject([
      {
        severity: 'note',
        figures: { pid: 7, comm: 'indexer', kind: 'fanotify', watches: 70_000, bytes: 70_000 * 1024 },
        next: 'procs --pid 7 --fds',
      },
    ]);
    expect(findingWords(own[0]!)).toContain('has 70000 fanotify marks, about 68.4 MiB');
  });

  test('of epoll are read only if the slab cache is large', () => {
    const slab = (active: number) =>
      `eventpoll_epi     ${active} ${active}    128   32    1 : tunables    0    0    0 : slabdata  9  9  0\n`;
    expect(watchesOf({ 3: epoll }, slab(400_000)).own).toMatchObject([
      { figures: { kind: 'epoll', watches: 400_000, bytes: 80_000_000 } },
    ]);
    const { own, asked } = watchesOf({ 3: epoll }, slab(4000));
    expect([own, asked.has('/proc/7/fdinfo/3')]).toEqual([[], false]);
    // Merged with a cache of another name.
    const merged = (objects: number) => {
      const folder = '/sys/kernel/slab/eventpoll_epi';
      const files = { [`${folder}/total_objects`]: `${objects} N0=${objects}\n`, [`${folder}/slab_size`]: '128\n' };
      return watchesOf({ 3: epoll }, 'kmalloc-cg-128 400000 400000 128 32 1 : tunables\n', files).own;
    };
    expect([merged(400_000).length, merged(4000).length]).toEqual([1, 0]);
  });
});
