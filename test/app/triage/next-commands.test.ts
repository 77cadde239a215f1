import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { taskStacksSchema } from '../../../src/contracts/task-stacks.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { FINDING_CODES, type FindingCode } from '../../../src/triage/findings/all.js';
import { queuedData } from '../../../src/triage/queued-data.js';
import { kdumpMem } from '../../support/in-process.js';
import { PROOFS, shows } from '../../support/next-commands.js';
import { askDump } from '../../support/opened-kernel.js';
import { type MadeProcess, meminfo, snapshotFiles, writeCapture } from '../../support/snapshot.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

const FIXTURES = join(import.meta.dirname, '../../../fixtures');
const folder = mkdtempSync(join(tmpdir(), 'next-commands-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function findingsIn(...source: readonly string[]): Promise<TriageJson['findings']> {
  const { stdout } = await kdumpMem('triage', '--json', ...source);
  return triageSchema.parse(JSON.parse(stdout)).findings;
}

/** First lines of reports of which no fixture has a log. */
const LINES = [
  'NMI watchdog: Watchdog detected hard LOCKUP on cpu 3',
  'BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0xa8/0xbc [test_kasan]',
  'BUG: KMSAN: uninit-value in tcp_recvmsg+0x6cf/0xb60',
  'BUG: KCSAN: data-race in do_exit / do_wait',
  'UBSAN: array-index-out-of-bounds in drivers/net/x.c:77:9',
  'unreferenced object 0xffff888100a2c000 (size 128):',
  'WARNING: possible circular locking dependency detected',
  'BUG: spinlock bad magic on CPU#1, insmod/184',
  'BUG: sleeping function called from invalid context at mm/slab.h:421',
  'BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 33s!',
  'mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 5: be00000000800400',
  'TCP: out of memory -- consider tuning tcp_mem',
  'blk_update_request: I/O error, dev sda, sector 77 op 0x0:(READ) flags 0x0',
  "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable because the skew is too large:",
  'page_pool_release_retry() stalled pool shutdown: id 9, 1 inflight 60 sec',
  'cgroup: fork rejected by pids controller in /system.slice/x.service',
  "lowmemorykiller: Killing 'x' (7), adj 900,",
  'x: page allocation failure: order:3, mode:0xcc0(GFP_KERNEL), nodemask=(null)',
];

/** A kernel that could not save the dump of another one. */
const CAPTURE_KERNEL = [
  'Kernel command line: elfcorehdr=0x1000000 root=/dev/sda1',
  'kdump[512]: saving vmcore failed: No space left on device',
];

describe('the next command of a finding of a log prints the log from 10 s before its first line on', () => {
  const made = join(folder, 'made.log');
  writeFileSync(made, LINES.map((line, index) => `[${String(100 + index).padStart(5)}.000000] ${line}\n`).join(''));
  const fixtures = join(FIXTURES, 'logs');
  const capture = join(folder, 'capture.log');
  writeFileSync(capture, CAPTURE_KERNEL.map((line, index) => `[    ${index}.000000] ${line}\n`).join(''));
  const logs = [made, capture, ...readdirSync(fixtures).map((name) => join(fixtures, name))];
  const proved = new Set<string>();

  test.each(logs)('%s', async (path) => {
    for (const { code, next, evidence } of await findingsIn(path)) {
      expect(next, code).toMatch(/^log --since [\d.]+$/);
      const { stdout } = await kdumpMem(...(next ?? '').split(' '), '--json', path);
      const { messages } = JSON.parse(stdout) as { messages: { text: string; timestampMicroseconds: number }[] };
      const [line] = evidence;
      const own = messages.findIndex(({ text }) => line?.kind === 'log' && text === line.text);
      const times = messages.map(({ timestampMicroseconds: at }) => at / 1e6);
      expect(own, code).toBeGreaterThanOrEqual(0);
      // From then on, and nothing before.
      expect(Math.min(...times)).toBeGreaterThanOrEqual(times[own]! - 10.000001);
      expect(times[own]! - Number(next?.split(' ').at(-1))).toBeCloseTo(Math.min(10, times[own]!), 5);
      proved.add(code);
    }
  });

  test('a cgroup that reached its own limit has an action beside an OOM kill of the machine', async () => {
    const { stdout } = await kdumpMem('triage', join(fixtures, 'oom-6.12.log'));
    expect(stdout).toMatch(
      /^To do: .* Begin with the victim, pid 175, .* Separately, find out why cgroup \/pod7\/c1 reached its limit, before you raise the limit\.$/m,
    );
  });

  test('each finding that a log alone has is proved', () => {
    const declared = FINDING_CODES.filter((code) => PROOFS[code] === 'log');
    expect([...proved].toSorted()).toEqual(declared.toSorted());
  });
});

interface Captured {
  readonly code: FindingCode;
  /** KiB of /proc/meminfo. */
  readonly kib?: Readonly<Record<string, number>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly process?: Partial<MadeProcess>;
  /** Name of the owner, where it is no process. */
  readonly owner?: string;
  readonly figure: string;
  /** Unit of the amount in the JSON. */
  readonly unit?: number;
}

const MIB = 1024;
const ZONES = (free: number, managed = 4_000_000) =>
  `Node 0, zone   Normal\n  pages free     ${free}\n        min      5000\n        low      6000\n        high     7000\n        spanned  4194304\n        present  4194304\n        managed  ${managed}\n  start_pfn:           4096\n`;
/** One at its limit, with kills, and one that stalls. */
const CGROUPS = [
  'cgroup.procs:1',
  'web.slice/cgroup.procs:77',
  `web.slice/memory.current:${990 * 2 ** 20}`,
  `web.slice/memory.max:${1000 * 2 ** 20}`,
  'web.slice/memory.high:max',
  `web.slice/memory.stat:anon ${900 * 2 ** 20}`,
  'web.slice/memory.stat:inactive_file 1000',
  'web.slice/memory.stat:active_file 1000',
  'web.slice/memory.events:oom_kill 7',
  'slow.slice/cgroup.procs:78',
  `slow.slice/memory.current:${500 * 2 ** 20}`,
  'slow.slice/memory.max:max',
  'slow.slice/memory.high:max',
  'slow.slice/memory.pressure:some avg10=40.00 avg60=40.00 avg300=0.00 total=5',
  'slow.slice/memory.pressure:full avg10=30.00 avg60=30.00 avg300=0.00 total=5',
]
  .map((line) => `/sys/fs/cgroup/${line}\n`)
  .join('');
/** A segment that no process has attached. */
const SEGMENTS = `header\n 0 5 1600 ${3e9} 77 77 0 0 0 0 0 0 0 0 ${3e9} 0\n`;
const PIPES = `/proc/77/fd:\n${Array.from({ length: 2000 }, (_, fd) => `l 1 0 0 64 Jan 1 00:00 ${fd} -> pipe:[${fd}]\n`).join('')}`;
const CAPTURES: readonly Captured[] = [
  {
    code: 'shared-memory',
    kib: { MemFree: 12_000 * MIB, Cached: 3000 * MIB, Shmem: 3000 * MIB, SwapTotal: 0, SwapFree: 0 },
    files: { 'proc/sysvipc/shm': SEGMENTS },
    figure: 'bytes',
  },
  {
    code: 'pipes',
    kib: { MemFree: 14_000 * MIB, Percpu: 0 },
    files: {
      'proc/sys/kernel/osrelease': '6.1.0\n',
      'proc/zoneinfo': ZONES(14_000 * 256, 16_000 * 256),
      'proc/sys/fs/pipe-max-size': '1048576\n',
      'sample-1/descriptors': PIPES,
      'sample-2/descriptors': PIPES,
    },
    figure: 'mostBytes',
  },
  {
    code: 'writeback-stuck',
    kib: { MemFree: 9000 * MIB, Cached: 6000 * MIB, Dirty: 3000 * MIB, Writeback: 100 * MIB },
    files: {
      'proc/pressure/io':
        'some avg10=9.00 avg60=90.00 avg300=9.00 total=5\nfull avg10=9.00 avg60=80.00 avg300=9.00 total=5\n',
    },
    owner: 'page-cache',
    figure: 'dirtyBytes',
  },
  {
    code: 'low-available',
    kib: { MemFree: 100 * MIB, MemAvailable: 300 * MIB, AnonPages: 15_000 * MIB },
    process: { anonymous: 14_000 * MIB },
    figure: 'anonBytes',
  },
  {
    code: 'unreclaimable-slab',
    kib: { Slab: 3000 * MIB, SUnreclaim: 3000 * MIB },
    files: {
      'proc/slabinfo': `slabinfo - version: 2.1\n# name\nleaky 700000 700000 4096 8 8 : tunables 0 0 0 : slabdata 90000 90000 0\n`,
    },
    owner: 'leaky',
    figure: 'mostBytes',
  },
  {
    code: 'reclaimable-slab',
    kib: { Slab: 8000 * MIB, SReclaimable: 8000 * MIB },
    files: {
      'proc/slabinfo': `slabinfo - version: 2.1\n# name\ndentry 40000000 40000000 192 21 1 : tunables 0 0 0 : slabdata 1900000 1900000 0\n`,
    },
    owner: 'dentry',
    figure: 'mostBytes',
  },
  { code: 'per-cpu-memory', kib: { Percpu: 2000 * MIB }, owner: 'percpu', figure: 'bytes' },
  {
    code: 'kernel-stacks',
    kib: { KernelStack: 1000 * MIB },
    process: { status: { Threads: '60000' } },
    files: { 'proc/loadavg': '0.00 0.00 0.00 1/60001 99\n' },
    figure: 'threads',
  },
  { code: 'pinned-pages', process: { status: { VmPin: `${5000 * MIB} kB` } }, figure: 'pinnedBytes' },
  {
    code: 'low-memory',
    files: { 'proc/zoneinfo': ZONES(4000), 'proc/buddyinfo': 'Node 0, zone   Normal   4000 0 0 0 0\n' },
    owner: 'Normal',
    figure: 'freeBytes',
    unit: 4096,
  },
  {
    code: 'fragmentation',
    files: {
      'proc/zoneinfo': ZONES(90_000),
      'proc/buddyinfo': 'Node 0, zone   Normal   90000 0 0 0 0\n',
      'proc/vmstat': 'oom_kill 0\ncompact_stall 7\ncompact_fail 3\n',
    },
    owner: 'Normal',
    figure: 'freeBytes',
    unit: 4096,
  },
  { code: 'unattributed-memory', kib: { MemFree: 1000 * MIB }, owner: 'unattributed', figure: 'bytes' },
  {
    code: 'hugetlb-unused',
    kib: { Hugetlb: 4000 * MIB },
    files: {
      'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '2000\n',
      'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '2000\n',
      'sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages': '0\n',
    },
    owner: 'hugetlb',
    figure: 'bytes',
  },
  {
    code: 'balloon',
    files: { 'sys/kernel/debug/hv-balloon': 'pages_ballooned       : 700000\n' },
    owner: 'hv_balloon (Hyper-V)',
    figure: 'bytes',
  },
  {
    code: 'compressed-memory',
    files: { 'sys/block/zram0/mm_stat': '8000000000 2900000000 3000000000 0 3000000000 5 0 9 9\n' },
    owner: 'zram0',
    figure: 'bytes',
  },
  {
    code: 'zfs-arc',
    files: {
      'proc/spl/kstat/zfs/arcstats':
        'size 4 4000000000\nc 4 4000000000\nc_min 4 500000000\nc_max 4 8000000000\ndata_size 4 3000000000\nmetadata_size 4 500000000\n',
    },
    owner: 'ZFS ARC',
    figure: 'bytes',
  },
  {
    code: 'gpu-memory',
    kib: { MemFree: 11_000 * MIB },
    files: {
      fdinfo: `/proc/77/fdinfo/3:drm-driver:\tamdgpu\n/proc/77/fdinfo/3:drm-client-id:\t1\n/proc/77/fdinfo/3:drm-shared-gtt:\t0\n/proc/77/fdinfo/3:drm-resident-gtt:\t${4000 * 1024} KiB\n`,
    },
    owner: 'amdgpu',
    figure: 'bytes',
  },
  {
    code: 'dma-buf',
    kib: { MemFree: 11_000 * MIB },
    files: {
      fdinfo: `/proc/77/fdinfo/3:size:\t${4000 * 2 ** 20}\n/proc/77/fdinfo/3:exp_name:\tsystem\n/proc/77/fdinfo/3:ino:\t1\n`,
    },
    owner: 'system',
    figure: 'bytes',
  },
  {
    code: 'page-pool-detached',
    kib: { MemFree: 14_000 * MIB },
    files: { netlink: `link 0 index=2 3=65746830 16=6 4=1500 32=1\npool 0 1=1 2=2 4=250000 5=1024000000 6=0\nend\n` },
    owner: 'eth0',
    figure: 'bytes',
  },
  {
    code: 'dying-cgroups',
    files: {
      cgroups: `${CGROUPS}/sys/fs/cgroup/cgroup.stat:nr_descendants 9\n/sys/fs/cgroup/cgroup.stat:nr_dying_descendants 4000\n/sys/fs/cgroup/web.slice/cgroup.stat:nr_dying_descendants 3900\n`,
    },
    owner: '/web.slice',
    figure: 'dying',
  },
  {
    code: 'cgroup-near-limit',
    files: { cgroups: CGROUPS },
    process: { anonymous: 900 * MIB, cgroup: '/web.slice' },
    owner: '/web.slice',
    figure: 'usedBytes',
  },
  {
    code: 'oom-kills',
    files: { cgroups: CGROUPS },
    process: { cgroup: '/web.slice' },
    owner: '/web.slice',
    figure: 'kills',
  },
  {
    code: 'memory-pressure',
    files: { cgroups: CGROUPS },
    process: { anonymous: 400 * MIB, cgroup: '/slow.slice' },
    owner: '/slow.slice',
    figure: 'usedBytes',
  },
];

/** A snapshot of a host whose process 77 is `large`. */
function captured(name: string, { kib = {}, files = {}, process = {} }: Partial<Captured>): string {
  const all = [
    { pid: 1, comm: 'init', anonymous: 300 },
    { pid: 77, comm: 'large', anonymous: 300, ...process },
  ];
  const memory = { MemTotal: 16_000 * MIB, MemFree: 15_800 * MIB, MemAvailable: 15_000 * MIB, ...kib };
  const made = new Map([...snapshotFiles(all), ['proc/meminfo', meminfo(memory)] as const, ...Object.entries(files)]);
  return writeCapture(join(folder, name), made);
}

describe('the next command shows what the finding of a snapshot said', () => {
  test.each(CAPTURES)('$code', async ({ owner, figure, unit = 1, ...made }) => {
    const path = captured(made.code, made);
    const finding = (await findingsIn('--from', path)).find((one) => one.code === made.code);
    expect(finding).toBeDefined();
    const named = owner === undefined ? { pid: 77, comm: 'large' } : { pid: null, comm: owner };
    const amount = Number(finding?.figures[figure]) / unit;
    expect(amount).toBeGreaterThan(1);
    await expect(shows(finding?.next ?? '', named, amount, ['--from', path])).resolves.toBe('owner and amount');
  });
});

describe('the next command shows what has changed since a baseline', () => {
  const boot = (id: string, uptime: number, taken = '04:04:05') => ({
    taken: `2026-01-02T${taken}Z\n`,
    'proc/sys/kernel/random/boot_id': `0f5b8d34-0000-4000-8000-00000000000${id}\n`,
    'sample-1/began': `${uptime}.00 1.00\n`,
    'sample-1/ended': `${uptime}.50 1.00\n`,
    'sample-2/began': `${uptime + 2}.50 1.00\n`,
    'sample-2/ended': `${uptime + 3}.00 1.00\n`,
  });
  const SLABS = { kib: { MemFree: 11_000 * MIB, Slab: 4800 * MIB, SUnreclaim: 4800 * MIB } };
  const ANONYMOUS = { kib: { MemFree: 11_000 * MIB, AnonPages: 4800 * MIB }, process: { anonymous: 4800 * MIB } };

  test.each([
    ['growth of a process', 'memory-growth', { pid: 77, comm: 'large' }, 'ownerBytes', boot('1', 3700), ANONYMOUS],
    ['growth', 'memory-growth', { pid: null, comm: 'slab-unreclaimable' }, 'bytes', boot('1', 3700), SLABS],
    ['a reboot', 'rebooted', { pid: null, comm: 'db1' }, 'uptimeSeconds', boot('2', 300), {}],
  ] as const)('%s', async (name, code, owner, figure, files, made) => {
    const before = captured(`${name}, before`, { files: boot('1', 100, '03:04:05') });
    const after = captured(`${name}, after`, { files, ...made });
    const found = await findingsIn('--from', after, '--baseline', before);
    const finding = found.find((one) => one.code === code);
    expect(finding, JSON.stringify(found)).toBeDefined();
    // Who names a baseline asks for it.
    expect(found.find(({ severity }) => severity === finding?.severity)).toBe(finding);
    const amount = Number(finding?.figures[figure]);
    await expect(shows(finding?.next ?? '', owner, amount, ['--from', after])).resolves.toBe('owner and amount');
  });

  test('a clock that was set has no next command', async () => {
    const before = captured('clock, before', { files: boot('1', 100, '03:04:05') });
    const after = captured('clock, after', { files: boot('1', 3700, '05:04:05') });
    const found = await findingsIn('--from', after, '--baseline', before);
    expect(found.map(({ code, next }) => [code, next])).toEqual([['clock-step', null]]);
  });
});

describe('the next command shows what the finding of a dump said', () => {
  const source = ['--vmcore', join(FIXTURES, 'incident.vmcore')];

  test('owners and bytes', async () => {
    const findings = await findingsIn(...source);
    const of = (code: FindingCode) => findings.find((one) => one.code === code)!;
    const { figures: kill, next: afterKill } = of('oom-kill');
    const largest = { pid: Number(kill.largestPid), comm: kill.largestComm ?? null };
    await expect(shows(afterKill ?? '', largest, Number(kill.largestRssBytes), source)).resolves.toBe(
      'owner and amount',
    );
    const { figures: queued, next: afterQueued } = of('queued-data-of-process');
    const holder = { pid: Number(queued.pid), comm: queued.comm ?? null };
    await expect(shows(afterQueued ?? '', holder, Number(queued.pinnedBytes), source)).resolves.toBe(
      'owner and amount',
    );
    const { figures: low, next: afterLow } = of('low-memory');
    const zone = { pid: null, comm: low.zone ?? null };
    const amount = Number(low.freeBytes) / 4096;
    await expect(shows(afterLow ?? '', zone, amount, source)).resolves.toBe('owner and amount');
  });

  test.each([
    ['queued-data', 'pinnedBytes', 'incident.vmcore'],
    ['queued-data-of-machine', 'mostBytes', 'dumps/6.1.vmcore'],
  ] as const)('%s', async (code, figure, dump) => {
    const path = join(FIXTURES, dump);
    const census = askDump(path, (kernel) => accountAll(kernel, { by: 'cgroup' }));
    // No queue of the small machine has 32 MiB: the finding is that of queues that are larger by this factor.
    const factor = 100;
    const larger = <T extends { total: { pinnedBytes: number } }>(one: T): T => ({
      ...one,
      total: { ...one.total, pinnedBytes: factor * one.total.pinnedBytes },
    });
    const { total: totals } = larger({ total: census.totals });
    const scaled = { totals, sockets: census.sockets.map(larger), processes: census.processes.map(larger) };
    const sizes = scaled.sockets.map(({ total }) => total.pinnedBytes).toSorted((a, b) => b - a);
    // A machine on which only a socket, or only all sockets together, have 5 % of memory.
    const memory = 20 * (code === 'queued-data' ? sizes[0]! : scaled.totals.pinnedBytes);
    const { figures, next } = queuedData(scaled, memory).find((one) => one.code === code)!;
    const owner = { pid: Number(figures.pid), comm: figures.comm ?? null };
    const amount = Number(figures[figure]) / factor;
    await expect(shows(next ?? '', owner, amount, ['--vmcore', path])).resolves.toBe('owner and amount');
  });

  test('where a reader waits', async () => {
    const { figures, next } = (await findingsIn(...source)).find(({ code }) => code === 'stalled-reader')!;
    const { stdout } = await kdumpMem(...(next ?? '').split(' '), '--json', ...source);
    const { stacks } = taskStacksSchema.parse(JSON.parse(stdout));
    expect(stacks.flatMap(({ tasks }) => tasks.map(({ pid }) => pid))).toContain(figures.pid);
    const functions = stacks.flatMap(({ frames }) => frames.map(({ symbol }) => symbol));
    expect(functions).toContain(figures.symbol);
  });
});

test('each proof that is declared is here', () => {
  const declared = (where: string) => FINDING_CODES.filter((code) => PROOFS[code] === where);
  expect(CAPTURES.map(({ code }) => code).toSorted()).toEqual(declared('snapshot').toSorted());
  expect(declared('baseline')).toEqual(['memory-growth', 'rebooted']);
  expect(declared('dump')).toEqual(['queued-data', 'queued-data-of-machine', 'stalled-reader']);
  expect(declared('none')).toEqual([
    'message-queues',
    'hypervisor-overcommitted',
    'counter-leak',
    'clock-step',
    'recorded-growth',
    'recorded-answer',
  ]);
});
