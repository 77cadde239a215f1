import { describe, expect, test } from 'vitest';
import { countedMemory } from '../../../src/account/memory/counted.js';
import { withDevices } from '../../../src/account/memory/devices.js';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { ExhaustedError } from '../../../src/base/errors.js';
import { readHostCounts } from '../../../src/host/proc/memory.js';
import { possibleRows, readHugePagePools, readNamedMemory } from '../../../src/host/proc/named-memory.js';
import { capturedPerfRings, type OtherPins, readPerfRings } from '../../../src/host/proc/rings.js';
import type { NamedMemory, NotRead } from '../../../src/records/named-memory.js';
import { FakeHost, withDrivers } from '../fake-host.js';

const MIB = 2 ** 20;
const NONE = { named: [], notRead: [], perf: new Set(), otherPins: expect.anything() };

/** mm_stat_show of drivers/block/zram/zram_drv.c: nine columns. */
const MM_STAT = `${800 * MIB} ${190 * MIB} ${200 * MIB}        0 ${210 * MIB}       12        0       34       40\n`;

/** hv_balloon_debug_show of drivers/hv/hv_balloon.c. */
const HV_BALLOON = [
  'host_version          : 2.0',
  'capabilities          : enabled hot_add',
  'state                 : 1 (Initialized)',
  'page_size             : 4096',
  'pages_added           : 0',
  'pages_onlined         : 0',
  `pages_ballooned       : ${(300 * MIB) / 4096}`,
  'total_pages_committed : 400000',
  'max_dynamic_page_count: 268435456',
  '',
].join('\n');

/** vmballoon_debug_show of drivers/misc/vmw_balloon.c, before 4.20 and since. */
const VMWARE_OLD = `balloon capabilities:   0x1e\nused capabilities:      0x6\nis resetting:           n\ntarget:                76800 pages\ncurrent:               76800 pages\n`;
const VMWARE = `balloon capabilities  :             0x1e\nis resetting          :                n\ntarget                :            76800\ncurrent               :            76800\n`;

/** arcstats and abdstats of OpenZFS (module/zfs/arc.c, abd_os.c), in the form of kstat_seq_show_named of the SPL. */
function kstat(figures: Readonly<Record<string, number>>): string {
  const rows = Object.entries(figures).map(([name, value]) => `${name.padEnd(31)} ${String(4).padEnd(4)} ${value}`);
  return ['13 1 0x01 147 39984 5266748571 98117432719', 'name                            type data', ...rows, ''].join(
    '\n',
  );
}
const ARC = {
  hits: 9,
  c: 500 * MIB,
  c_min: 100 * MIB,
  c_max: 900 * MIB,
  size: 400 * MIB,
  hdr_size: 20 * MIB,
  data_size: 300 * MIB,
  metadata_size: 50 * MIB,
  dnode_size: 30 * MIB,
};
const ABD = { struct_size: 3, linear_cnt: 9, scatter_data_size: 290 * MIB, scatter_chunk_waste: 10 * MIB };

interface Made {
  readonly kib?: Readonly<Record<string, number>>;
  /** Present memory in MiB. */
  readonly present?: number;
  readonly files?: Readonly<Record<string, string | 'denied'>>;
}

/** A machine with 1,000 MiB in its zones, of which the kernel manages 960. */
function machine({ kib = {}, present = 1000, files = {} }: Made = {}): FakeHost {
  const host = new FakeHost();
  const lines = {
    MemTotal: 960 * 1024,
    MemFree: 100 * 1024,
    Buffers: 0,
    Cached: 100 * 1024,
    SwapCached: 0,
    AnonPages: 100 * 1024,
    Shmem: 0,
    SReclaimable: 0,
    SUnreclaim: 50 * 1024,
    KernelStack: 0,
    PageTables: 0,
    VmallocUsed: 0,
    Percpu: 0,
    Hugetlb: 0,
    ...kib,
  };
  host.files.set(
    '/proc/meminfo',
    Object.entries(lines)
      .map(([name, size]) => `${name}: ${size} kB\n`)
      .join(''),
  );
  const pages = (size: number) => size * 256;
  host.files.set(
    '/proc/zoneinfo',
    `Node 0, zone   Normal\n  pages free     ${pages(lines.MemFree / 1024)}\n        present  ${pages(present)}\n        managed  ${pages(lines.MemTotal / 1024)}\n  pagesets\n    cpu: 0\n              count: 0\n`,
  );
  host.files.set('/proc/vmstat', 'nr_free_pages 1\n');
  for (const [path, text] of Object.entries(files)) host.files.set(path, text);
  return host;
}

function read(made: Made) {
  const host = machine(made);
  return readNamedMemory(host, readHostCounts(host));
}

function rows(made: Made) {
  const answer = countedMemory(readHostCounts(machine(made)));
  checkSums(answer.memory);
  const row = (name: string) => leaves(answer.memory).find(({ category }) => category === name)!;
  return { row, answer };
}

function checkSums({ bytes, children }: Category): void {
  if (children.length === 0) return;
  expect(children.reduce((sum, child) => sum + child.bytes, 0)).toBe(bytes);
  children.forEach(checkSums);
}

test('a machine without any of it has no line, and nothing is missing', () => {
  expect(read({})).toEqual(NONE);
});

test('a pool of huge pages that changes while it is read is read once more', () => {
  const source = machine({ kib: { Hugetlb: 200 * 1024 }, files: HUGE });
  const readText = source.readText.bind(source);
  let reads = 0;
  source.readText = (path) => (path.endsWith('/resv_hugepages') && reads++ === 0 ? '61\n' : readText(path));
  expect(readHugePagePools(source)).toMatchObject([{ free: 60, reserved: 10 }]);
  expect(reads).toBe(2);
});

test.each([
  ['zswap', 'compressed', 'Zswap:  20971x2 kB'],
  ['zswap', 'compressed', 'Zswap:  -1 kB'],
  ['huge-pages', 'hugetlb', 'HugePages_Total: 100\nHugepagesize: 2048 kB\nHugetlb: 0 kB'],
  ['balloon', 'balloon', 'Balloon:  -1 kB'],
])('%s: a line of /proc/meminfo that is malformed or contradicted is not zero', (kind, category, line) => {
  const host = machine({ files: { '/proc/vmstat': 'balloon_inflate 0\nballoon_deflate 0\n' } });
  host.files.set('/proc/meminfo', `${host.readText('/proc/meminfo').replace('Hugetlb: 0 kB\n', '')}${line}\n`);
  const counts = readHostCounts(host);
  expect(readNamedMemory(host, counts).notRead).toMatchObject([
    { kind, code: 'unreadable', why: expect.stringContaining(String(line.split('\n').at(-1)?.split(':')[1]?.trim())) },
  ]);
  const row = leaves(countedMemory(counts).memory).find((one) => one.category === category);
  expect(row?.complete).toBe(false);
});

test('huge pages before 4.16: a malformed HugePages_Total is not zero', () => {
  const host = machine({});
  const text = host.readText('/proc/meminfo').replace('Hugetlb: 0 kB\n', '');
  host.files.set('/proc/meminfo', `${text}HugePages_Total: 2x\nHugepagesize: 2048 kB\n`);
  expect(readHostCounts(host).unreadCounters).toMatchObject([{ kind: 'huge-pages' }]);
});

const POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB';
const ofNode = (node: number, pages: number, free: number) => {
  const folder = `/sys/devices/system/node/node${node}/hugepages/hugepages-2048kB`;
  return {
    [`${folder}/nr_hugepages`]: `${pages}\n`,
    [`${folder}/free_hugepages`]: `${free}\n`,
    [`${folder}/surplus_hugepages`]: '0\n',
  };
};
const HUGE = {
  [`${POOL}/nr_hugepages`]: '100\n',
  [`${POOL}/free_hugepages`]: '60\n',
  [`${POOL}/resv_hugepages`]: '10\n',
  [`${POOL}/surplus_hugepages`]: '5\n',
  ...ofNode(0, 70, 50),
  ...ofNode(1, 30, 10),
  '/proc/7/status': 'Name:\tqemu\nHugetlbPages:\t   81920 kB\n',
  '/proc/7/comm': 'qemu\n',
  '/proc/8/status': 'Name:\tsh\nHugetlbPages:\t       0 kB\n',
};

test('huge pages by size and node, with the processes that map them', () => {
  const { named, notRead } = read({ kib: { Hugetlb: 200 * 1024 }, files: HUGE });
  expect(notRead).toEqual([]);
  expect(named).toMatchObject([
    {
      kind: 'huge-pages',
      name: '2.00 MiB',
      bytes: 200 * MIB,
      figures: { pages: 100, free: 60, reserved: 10, surplus: 5 },
      nodes: [
        { node: 0, pages: 70, free: 50 },
        { node: 1, pages: 30, free: 10 },
      ],
      processes: [{ pid: 7, comm: 'qemu', bytes: 80 * MIB }],
    },
  ]);
});

test.each([
  ['a pool that /proc/meminfo contradicts', { [`${POOL}/nr_hugepages`]: '300\n' }],
  ['more free pages than pages', { [`${POOL}/free_hugepages`]: '101\n' }],
  ['more reserved pages than free ones', { [`${POOL}/resv_hugepages`]: '61\n' }],
  ['a malformed pool', { [`${POOL}/free_hugepages`]: '6 0\n' }],
  ['an unreadable pool', { [`${POOL}/resv_hugepages`]: 'denied' as const }],
])('huge pages: %s is not read, never zero', (_, files) => {
  const { named, notRead } = read({ kib: { Hugetlb: 200 * 1024 }, files: { ...HUGE, ...files } });
  expect(named).toEqual([]);
  expect(notRead).toMatchObject([{ kind: 'huge-pages' }]);
});

test('huge pages: nodes that do not sum to the pool are left out', () => {
  const { named } = read({ kib: { Hugetlb: 200 * 1024 }, files: { ...HUGE, ...ofNode(1, 20, 10) } });
  expect(named).toHaveLength(1);
  expect(named[0]).not.toHaveProperty('nodes');
});

const INFLATED = { '/proc/vmstat': `balloon_inflate ${pagesOf(500)}\nballoon_deflate ${pagesOf(200)}\n` };
function pagesOf(mib: number): number {
  return mib * 256;
}
const VIRTIO = '/sys/bus/virtio/drivers/virtio_balloon/virtio3/features';

test('a virtio balloon that MemTotal excludes is in no other row', () => {
  const made = { kib: { MemTotal: 660 * 1024 }, files: { ...INFLATED, [VIRTIO]: `1${'0'.repeat(63)}\n` } };
  const { row, answer } = rows(made);
  expect(answer.memory.bytes).toBe(1000 * MIB);
  expect(row('balloon')).toMatchObject({ bytes: 300 * MIB, complete: true });
  expect(row('reserved-other').bytes).toBe(40 * MIB);
  expect(row('unattributed').bytes).toBe(310 * MIB);
  expect(answer.warnings).toEqual([]);
  expect(read(made).named).toMatchObject([
    { name: 'virtio_balloon (virtio)', bytes: 300 * MIB, figures: { isInMemTotal: 0 } },
  ]);
});

test('a virtio balloon with DEFLATE_ON_OOM is part of MemTotal', () => {
  const { row } = rows({ files: { ...INFLATED, [VIRTIO]: `1010${'0'.repeat(60)}\n` } });
  expect(row('balloon').bytes).toBe(300 * MIB);
  expect(row('reserved-other').bytes).toBe(40 * MIB);
  expect(row('unattributed').bytes).toBe(310 * MIB);
});

test('a balloon that is larger than what MemTotal lacks is a contradiction', () => {
  const { answer, row } = rows({ files: { ...INFLATED, [VIRTIO]: `1${'0'.repeat(63)}\n` } });
  expect(row('balloon')).toMatchObject({ bytes: 40 * MIB, complete: false });
  expect(answer.warnings).toMatchObject([{ code: 'corrupt' }]);
});

test('unknown features: where a balloon is has bounds, how large it is has not', () => {
  const { row } = rows({ files: { ...INFLATED, [VIRTIO]: 'denied' } });
  // Outside of MemTotal is no room for it.
  expect(row('balloon')).toMatchObject({ bytes: 300 * MIB, complete: true });
  expect(row('unattributed').bytes).toBe(310 * MIB);
  expect(row('unattributed').range?.leastBytes).toBeLessThanOrEqual(310 * MIB);
  const lowered = rows({ kib: { MemTotal: 660 * 1024 }, files: { ...INFLATED, [VIRTIO]: '01x\n' } });
  expect(lowered.row('balloon').bytes).toBe(300 * MIB);
  expect(lowered.row('reserved-other')).toMatchObject({ bytes: 40 * MIB, complete: false });
  expect(lowered.row('unattributed').range).toMatchObject({ leastBytes: 5 * MIB, mostBytes: 310 * MIB });
});

test('two virtio balloons with different features: where they are is unknown', () => {
  const second = VIRTIO.replace('virtio3', 'virtio4');
  const files = { ...INFLATED, [VIRTIO]: `1${'0'.repeat(63)}\n`, [second]: `1010${'0'.repeat(60)}\n` };
  expect(read({ files }).named).toMatchObject([{ kind: 'balloon', figures: { isInMemTotal: null } }]);
});

test.each([
  ['Hyper-V', { '/sys/kernel/debug/hv-balloon': HV_BALLOON }, 'hv_balloon (Hyper-V)'],
  ['VMware before 4.20', { '/sys/kernel/debug/vmmemctl': VMWARE_OLD }, 'vmw_balloon (VMware)'],
  ['VMware', { '/sys/kernel/debug/vmmemctl': VMWARE }, 'vmw_balloon (VMware)'],
  [
    'Xen',
    {
      '/sys/devices/system/xen_memory/xen_memory0/info/low_kb': `${300 * 1024}\n`,
      '/sys/devices/system/xen_memory/xen_memory0/info/high_kb': '0\n',
    },
    'xen_balloon (Xen)',
  ],
])('a balloon of %s', (_, files, name) => {
  const made = { kib: { MemTotal: 660 * 1024 }, files };
  expect(read(made)).toMatchObject({ named: [{ kind: 'balloon', name, bytes: 300 * MIB }], notRead: [] });
  expect(rows(made).row('balloon').bytes).toBe(300 * MIB);
});

test.each([
  ['a malformed counter of Hyper-V', { '/sys/kernel/debug/hv-balloon': HV_BALLOON.replace(/pages_ballooned.*\n/, '') }],
  ['only one file of Xen', { '/sys/devices/system/xen_memory/xen_memory0/info/low_kb': '5\n' }],
  ['more deflated than inflated', { '/proc/vmstat': 'balloon_inflate 5\nballoon_deflate 6\n' }],
  ['a driver without a counter', { '/proc/modules': 'hv_balloon 40960 0 - Live 0x0000000000000000\n' }],
])('balloon: %s is not read, never zero', (_, files) => {
  expect(read({ files })).toMatchObject({ named: [], notRead: [{ kind: 'balloon' }] });
  expect(rows({ files }).row('balloon').complete).toBe(false);
});

test('counters of one balloon that differ are bounds', () => {
  const made = { kib: { Balloon: 200 * 1024 }, files: { ...INFLATED, [VIRTIO]: `1010${'0'.repeat(60)}\n` } };
  expect(rows(made).row('balloon')).toMatchObject({ range: { leastBytes: 200 * MIB, mostBytes: 300 * MIB } });
});

test('zram by device: the memory that it takes, and its data', () => {
  const { named } = read({
    files: {
      '/sys/block/zram0/mm_stat': MM_STAT,
      '/sys/block/zram1/mm_stat': '0 0 0 0 0 0 0 0 0\n',
      '/sys/block/sda/size': '1\n',
      '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n/dev/zram0    partition\t1000\t900\t100\n',
    },
  });
  expect(named).toMatchObject([
    { kind: 'zram', name: 'zram0', bytes: 200 * MIB, figures: { dataBytes: 800 * MIB, swapUsedBytes: 900 * 1024 } },
  ]);
});

test.each([
  ['a malformed mm_stat', { '/sys/block/zram0/mm_stat': '1 2\n' }],
  ['an unreadable mm_stat', { '/sys/block/zram0/mm_stat': 'denied' as const }],
  ['a swap device without its files', { '/proc/swaps': 'Filename\n/dev/zram0 partition 9 9 9\n' }],
])('zram: %s is not read, never zero', (_, files) => {
  expect(read({ files })).toMatchObject({ named: [], notRead: [{ kind: 'zram' }] });
});

test.each([
  [0, 1],
  [100, 1],
  [190, 0],
])('zram of 200 MiB beside nr_zspages of %i MiB is a contradiction: %i', (mib, count) => {
  const vmstat = `nr_zspages ${pagesOf(mib)}\n`;
  const { named, notRead } = read({ files: { '/sys/block/zram0/mm_stat': MM_STAT, '/proc/vmstat': vmstat } });
  expect(named).toMatchObject([{ kind: 'zram', bytes: 200 * MIB }]);
  expect(notRead.map(({ kind }) => kind)).toEqual(Array(count).fill('zram'));
});

test('zswap: the pool once, and cgroups without those in them', () => {
  const { named } = read({
    kib: { Zswap: 200 * 1024, Zswapped: 500 * 1024 },
    files: {
      '/sys/fs/cgroup/a.slice/memory.zswap.current': `${180 * MIB}\n`,
      '/sys/fs/cgroup/a.slice/b.service/memory.zswap.current': `${150 * MIB}\n`,
      '/sys/fs/cgroup/c.slice/memory.zswap.current': `${MIB}\n`,
    },
  });
  expect(named.map(({ name, category, bytes }) => [name, category, bytes])).toEqual([
    ['zswap', 'compressed', 200 * MIB],
    ['/a.slice/b.service', null, 150 * MIB],
    ['/a.slice', null, 30 * MIB],
  ]);
});

test('zswap: a pool in no counter (zbud) moves from unattributed memory to its row, one of zsmalloc does not', () => {
  const made = machine({ kib: { Zswap: 200 * 1024, Zswapped: 500 * 1024 } });
  const counts = readHostCounts(made);
  const at = (compressed: number | undefined) => {
    const { named } = readNamedMemory(made, { ...counts, compressed });
    const answer = countedMemory({ ...counts, compressed });
    const row = (name: string) => leaves(withDevices(answer, named).memory).find(({ category }) => category === name);
    const before = leaves(answer.memory).find(({ category }) => category === 'unattributed')?.bytes ?? 0;
    const moved = before - (row('unattributed')?.bytes ?? 0);
    return [named[0]?.figures['unmarkedBytes'], moved, row('compressed')?.bytes];
  };
  expect(at(200 * MIB)).toEqual([0, 0, 200 * MIB]);
  expect(at(195 * MIB)).toEqual([0, 0, 195 * MIB]);
  expect(at(0)).toEqual([200 * MIB, 200 * MIB, 200 * MIB]);
  expect(at(50 * MIB)).toEqual([150 * MIB, 150 * MIB, 200 * MIB]);
  // NR_ZSPAGES was not read: nothing is claimed.
  expect(at(undefined)).toEqual([null, 0, 0]);
});

test('a buffer that two GPUs share, or that is a dma-buf too, leaves unattributed memory once', () => {
  const answer = countedMemory(readHostCounts(machine()));
  const gpu = (own: number, shared: number): NamedMemory => ({
    kind: 'gpu',
    name: 'amdgpu',
    category: 'gpu',
    bytes: (own + shared) * MIB,
    source: '',
    figures: { mostBytes: (own + shared) * MIB, sharedBytes: shared * MIB },
  });
  const heap: NamedMemory = { ...gpu(60, 0), kind: 'dma-buf', category: 'dma-buf' };
  const moved = (...named: NamedMemory[]) => {
    const rows = leaves(withDevices(answer, named).memory);
    return ['gpu', 'dma-buf'].map((name) => (rows.find(({ category }) => category === name)?.bytes ?? 0) / MIB);
  };
  expect(moved(gpu(10, 100), gpu(20, 90))).toEqual([130, 0]);
  expect(moved(gpu(10, 100), gpu(20, 90), heap)).toEqual([70, 60]);
  expect(moved(gpu(10, 50), heap)).toEqual([10, 60]);
});

test.each([
  ['zram', { kib: {}, files: { '/sys/block/zram0/mm_stat': MM_STAT.replace(`${200 * MIB}`, `${2 ** 56}`) } }],
  ['zfs-arc', { kib: {}, files: { '/proc/spl/kstat/zfs/arcstats': kstat({ ...ARC, size: 2 ** 56 }) } }],
  ['zswap', { kib: { Zswap: 2 ** 43 }, files: {} }],
  ['trace-rings', { kib: {}, files: { '/sys/kernel/tracing/buffer_total_size_kb': `${2 ** 39}\n` } }],
])('%s: more than the machine has is not read', (kind, made) => {
  const { named, notRead } = read(made);
  expect(named.every(({ bytes }) => (bytes ?? 0) <= 1000 * MIB)).toBe(true);
  expect(notRead).toMatchObject([{ kind, why: expect.stringContaining('more than this machine has (1000 MiB)') }]);
});

test('zswap: cgroups with more than the whole pool are not read', () => {
  const file = (bytes: number) => ({ '/sys/fs/cgroup/a.slice/memory.zswap.current': `${bytes}\n` });
  const of = (bytes: number) => read({ kib: { Zswap: 200 * 1024 }, files: file(bytes) });
  expect(of(200 * MIB)).toMatchObject({ named: [{ name: 'zswap' }, { name: '/a.slice' }], notRead: [] });
  const { named, notRead } = of(400 * MIB);
  expect(named).toMatchObject([{ name: 'zswap', bytes: 200 * MIB }]);
  expect(notRead).toMatchObject([{ kind: 'zswap', code: 'unreadable', why: expect.stringContaining('400 MiB') }]);
});

test('GPUs, dma-bufs and maps: more than the machine has is not read, unless a device or a limit may be as large', () => {
  const row = (kind: NamedMemory['kind'], figures = {}, name = 'x'): NamedMemory => {
    return { kind, name, category: null, bytes: 2 ** 40, source: '/proc/PID/fdinfo', figures };
  };
  const heap: NamedMemory = { ...row('dma-buf'), category: 'dma-buf' };
  const small = { ...row('gpu'), bytes: 999 * MIB };
  const wrong = [row('gpu'), heap, row('dma-buf', {}, 'udmabuf'), row('bpf-maps'), row('pinned')];
  const right = [small, row('dma-buf', {}, 'amdgpu'), row('bpf-maps', { lazyBytes: 2 ** 40 }), row('balloon')];
  const notRead: NotRead[] = [];
  expect(possibleRows([...wrong, ...right], readHostCounts(machine()), notRead)).toEqual(right);
  expect(notRead.map(({ kind }) => kind)).toEqual(wrong.map(({ kind }) => kind));
});

test('zswap: cgroups that were not searched are reported', () => {
  const host = machine({ kib: { Zswap: 200 * 1024 } });
  const names = Array.from({ length: 5001 }, (_, at) => `${at}.slice`);
  const read = host.readText.bind(host);
  Object.assign(host, {
    list: (path: string) => (path === '/sys/fs/cgroup' ? names : []),
    readText: (path: string) => (path.endsWith('/memory.zswap.current') ? `${20 * MIB}\n` : read(path)),
  });
  expect(readNamedMemory(host, readHostCounts(host)).notRead).toContainEqual({
    kind: 'zswap',
    code: 'unreadable',
    why: 'only 5000 cgroups were searched for memory in zswap',
  });
});

test('without a descriptor left for another program, the other sources are still read', () => {
  const host = machine({ kib: { Zswap: 200 * 1024 } });
  const netlink = () => {
    throw new ExhaustedError('perl cannot be started: too many open files (EMFILE)');
  };
  const { named, notRead } = readNamedMemory(Object.assign(host, { netlink }), readHostCounts(host));
  expect(named.map(({ kind }) => kind)).toContain('zswap');
  expect(notRead).toMatchObject([{ kind: 'page-pools', code: 'unreadable', why: expect.stringContaining('EMFILE') }]);
});

const ARCSTATS = '/proc/spl/kstat/zfs/arcstats';
const ABDSTATS = '/proc/spl/kstat/zfs/abdstats';

test('the cache of ZFS: its pages are a row, the rest is slab', () => {
  const made = { files: { [ARCSTATS]: kstat(ARC), [ABDSTATS]: kstat(ABD) } };
  const { row } = rows(made);
  expect(row('zfs-arc')).toMatchObject({ bytes: 300 * MIB, complete: true });
  expect(row('unattributed').bytes).toBe(310 * MIB);
  expect(read(made).named).toMatchObject([
    { kind: 'zfs-arc', bytes: 400 * MIB, figures: { reclaimableBytes: 300 * MIB, minBytes: 100 * MIB } },
  ]);
});

test('the cache of ZFS without abdstats is an upper bound', () => {
  const { row } = rows({ files: { [ARCSTATS]: kstat(ARC) } });
  expect(row('zfs-arc')).toMatchObject({
    bytes: 350 * MIB,
    complete: false,
    range: { leastBytes: 0, mostBytes: 350 * MIB },
  });
  expect(row('unattributed').range).toMatchObject({ mostBytes: 610 * MIB });
});

test.each([
  ['a malformed size', { [ARCSTATS]: kstat(ARC).replace(/^size .*$/m, 'size 4 x') }],
  ['a file that is cut inside its size', { [ARCSTATS]: kstat(ARC).replace(/(^size .*\d{4})\d{5}\n[\s\S]*/m, '$1') }],
  ['a size without its data', { [ARCSTATS]: kstat({ ...ARC, size: 0 }) }],
  ['a size below its pages', { [ARCSTATS]: kstat({ size: 4294 }), [ABDSTATS]: kstat(ABD) }],
  ['one of two files', { [ABDSTATS]: kstat(ABD) }],
  ['an unreadable file', { [ARCSTATS]: 'denied' as const }],
  ['a module without its file', { '/proc/modules': 'zfs 4000000 6 - Live 0x0000000000000000 (POE)\n' }],
])('ZFS: %s is not read, never zero', (_, files) => {
  expect(read({ files })).toMatchObject({ named: [], notRead: [{ kind: 'zfs-arc' }] });
  expect(rows({ files }).row('zfs-arc').complete).toBe(false);
});

const stat = (dying: number, more = '') => `nr_descendants 50\nnr_dying_descendants ${dying}\n${more}`;

test('removed cgroups, and the innermost cgroup that has most of them', () => {
  const { named } = read({
    files: {
      '/sys/fs/cgroup/cgroup.stat': stat(4000),
      '/sys/fs/cgroup/a.slice/cgroup.stat': stat(3500),
      '/sys/fs/cgroup/a.slice/b.service/cgroup.stat': stat(3100),
      '/sys/fs/cgroup/a.slice/b.service/x/cgroup.stat': stat(100),
      '/sys/fs/cgroup/c.slice/cgroup.stat': stat(400),
    },
  });
  expect(named).toMatchObject([
    { kind: 'dying-cgroups', name: '/a.slice/b.service', bytes: null, figures: { dying: 4000, dyingInside: 3100 } },
  ]);
});

test('removed cgroups of the memory controller alone, where the kernel counts them', () => {
  const files = { '/sys/fs/cgroup/cgroup.stat': stat(9000, 'nr_subsys_memory 40\nnr_dying_subsys_memory 2000\n') };
  expect(read({ files }).named).toMatchObject([{ name: '/', figures: { dying: 2000, cgroups: 40, isOfMemory: 1 } }]);
});

test('removed cgroups of version 1: those that exist are subtracted', () => {
  const files: Record<string, string> = {
    '/proc/cgroups': '#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t9\t1\nmemory\t4\t3000\t1\n',
    '/sys/fs/cgroup/memory/cgroup.procs': '1\n',
  };
  for (let at = 0; at < 99; at++) files[`/sys/fs/cgroup/memory/${at}/cgroup.procs`] = '';
  expect(read({ files }).named).toMatchObject([{ figures: { dying: 2900, cgroups: 100 } }]);
  delete files['/sys/fs/cgroup/memory/cgroup.procs'];
  for (let at = 0; at < 99; at++) delete files[`/sys/fs/cgroup/memory/${at}/cgroup.procs`];
  expect(read({ files })).toMatchObject({ named: [], notRead: [{ kind: 'dying-cgroups' }] });
});

test('removed cgroups of version 1 in a capture: cgroups without processes exist, and missing ones are unknown', () => {
  const host = machine({ files: { '/proc/cgroups': 'memory\t4\t1102\t1\n' } });
  for (let at = 0; at < 1100; at++) host.files.set(`/sys/fs/cgroup/memory/pods/${at}/memory.usage_in_bytes`, '0\n');
  host.files.set('/sys/fs/cgroup/memory/cgroup.procs', '1\n');
  host.files.set('/sys/fs/cgroup/memory/pods/memory.usage_in_bytes', '0\n');
  const readAll = (lacksCgroups: boolean) =>
    readNamedMemory(Object.assign(host, { lacksCgroups }), readHostCounts(host));
  expect(readAll(false)).toMatchObject(NONE);
  expect(readAll(true)).toMatchObject({ named: [], notRead: [{ kind: 'dying-cgroups', code: 'gone' }] });
});

test('removed cgroups: a malformed counter is not read, few are normal', () => {
  expect(read({ files: { '/sys/fs/cgroup/cgroup.stat': 'nr_descendants 3\n' } }).notRead).toMatchObject([
    { kind: 'dying-cgroups' },
  ]);
  expect(read({ files: { '/sys/fs/cgroup/cgroup.stat': stat(999) } })).toEqual(NONE);
});

/** tracing_total_entries_read of kernel/trace/trace.c. */
test('buffers of ftrace by instance move from unattributed memory to their row', () => {
  const withRings = (files: Readonly<Record<string, string>>) => {
    const { answer, row } = rows({});
    const { named, notRead } = read({ files });
    const { memory } = withDevices(answer, named);
    checkSums(memory);
    const bytesOf = (name: string) => leaves(memory).find(({ category }) => category === name)?.bytes;
    const left = row('unattributed').bytes - (bytesOf('unattributed') ?? 0);
    return { named, notRead, left, rings: bytesOf('rings') };
  };
  const TOTAL = '/sys/kernel/tracing/buffer_total_size_kb';
  const small = withRings({ [TOTAL]: '7 (expanded: 1408)\n' });
  expect(small).toMatchObject({ named: [{ name: 'ftrace', bytes: 7168 }], notRead: [], left: 7168, rings: 7168 });
  expect(withRings({ [TOTAL]: '0\n' })).toEqual({ named: [], notRead: [], left: 0, rings: 0 });
  const large = {
    [TOTAL]: `${40 * 1024}\n`,
    '/sys/kernel/tracing/instances/a b/buffer_total_size_kb': `${60 * 1024}\n`,
  };
  expect(withRings(large)).toMatchObject({
    named: [
      { kind: 'trace-rings', name: 'ftrace instance a b', category: 'rings', bytes: 60 * MIB },
      { kind: 'trace-rings', name: 'ftrace', bytes: 40 * MIB },
    ],
    left: 100 * MIB,
    rings: 100 * MIB,
  });
  const malformed = withRings({ [TOTAL]: 'x\n' });
  expect(malformed).toMatchObject({ named: [], notRead: [{ kind: 'trace-rings', code: 'unreadable' }], left: 0 });
});

describe('rings of perf', () => {
  /** A line as Linux 6.18.44 printed it (show_map_vma of fs/proc/task_mmu.c). */
  const mapped = (start: number, mib: number, name = 'anon_inode:[perf_event]') =>
    `${start.toString(16)}-${(start + mib * MIB).toString(16)} rw-s 00000000 00:10 1038                       ${name}\n`;
  const [AT, BEHIND] = [0x7f0000000000, 0x7f1000000000];

  /** Of a running machine and of a capture, which must not differ. */
  async function of(
    maps: Readonly<Record<number, string>>,
    pinned: Readonly<Record<number, number>> = {},
    others: OtherPins = { of: () => 0, hasUring: () => false },
  ) {
    const host = new FakeHost();
    for (const [pid, text] of Object.entries(maps)) {
      host.files.set(`/proc/${pid}/maps`, text);
      host.files.set(`/proc/${pid}/status`, `VmPin:\t${(pinned[Number(pid)] ?? 0) * 1024} kB\n`);
    }
    const notRead: NotRead[] = [];
    const live = await readPerfRings(host, new Set(Object.keys(maps).map(Number)), others, notRead);
    expect(capturedPerfRings(host, others, [])).toEqual(live);
    const words = live.map(({ bytes, figures, processes = [] }) => [
      (bytes ?? 0) / MIB,
      (figures.mappedBytes ?? 0) / MIB,
      ...processes.map((one) => `${one.pid}: ${one.bytes / MIB}`),
    ]);
    return { words, notRead };
  }

  test('are those of events: a name that a program chose is none', async () => {
    const two = `${mapped(AT, 64, '/tmp/anon_inode:[perf_event]')}${mapped(BEHIND, 32)}`;
    const { words } = await of({ 7: two, 8: mapped(AT, 64, '[anon:anon_inode:[perf_event]]') });
    expect(words).toEqual([[32, 32, '7: 32']]);
  });

  test('of one size may be one ring, as far as VmPin does not contain both', async () => {
    const two = `${mapped(AT, 32)}${mapped(BEHIND, 32)}`;
    expect((await of({ 7: two })).words).toEqual([[32, 64, '7: 32']]);
    expect((await of({ 7: two }, { 7: 63 })).words).toEqual([[63, 64, '7: 63']]);
    expect((await of({ 7: two }, { 7: 200 })).words).toEqual([[64, 64, '7: 64']]);
    // The second process maps the ring of the first.
    expect((await of({ 7: two, 8: mapped(AT, 32) }, { 7: 63 })).words).toEqual([[63, 96, '7: 63', '8: 32']]);
  });

  test('buffers of io_uring in VmPin are none', async () => {
    const others = (mib: number, hasUring = true) => ({ of: () => mib * MIB, hasUring: () => hasUring });
    const two = `${mapped(AT, 32)}${mapped(BEHIND, 32)}`;
    expect((await of({ 7: two }, { 7: 91 }, others(60))).words).toEqual([[32, 64, '7: 32']]);
    expect((await of({ 7: two }, { 7: 123 }, others(60))).words).toEqual([[63, 64, '7: 63']]);
    expect((await of({ 7: two }, { 7: 200 }, others(Number.POSITIVE_INFINITY))).words).toEqual([[32, 64, '7: 32']]);
    // A ring that is mapped, but that no descriptor has: its buffers are unknown.
    const uring = mapped(AT, 1, 'anon_inode:[io_uring]');
    expect((await of({ 7: `${two}${uring}` }, { 7: 91 }, others(0))).words).toEqual([[64, 64, '7: 64']]);
    expect((await of({ 7: `${two}${uring}` }, { 7: 91 }, others(0, false))).words).toEqual([[32, 64, '7: 32']]);
  });

  test.each([
    [[], 63],
    [['infiniband_verbs'], 32],
    [['iommu'], 32],
    [['vhost-vdpa'], 32],
    [['vduse'], 32],
  ])('beside drivers %s, whose pins are in VmPin too: at least %d MiB', (drivers, mib) => {
    const host = new FakeHost();
    host.files.set('/proc/7/maps', `${mapped(AT, 32)}${mapped(BEHIND, 32)}`);
    host.files.set('/proc/7/status', `VmPin:\t${63 * 1024} kB\n`);
    const least = () => {
      const { named } = readNamedMemory(host, { meminfo: new Map(), unreadCounters: [] });
      return (named.find(({ name }) => name === 'perf')?.bytes ?? 0) / MIB;
    };
    withDrivers(host, ...drivers);
    expect(least()).toBe(mib);
    // A list that is missing or cut may lack one.
    for (const [path, text] of [
      ['/proc/devices', 'denied'],
      ['/proc/devices', ''],
      ['/proc/misc', 'denied'],
      ['/proc/misc', ''],
    ] as const) {
      withDrivers(host, ...drivers);
      host.files.set(path, text);
      expect(least()).toBe(32);
    }
  });

  test('are missing, not absent, if mappings are not readable', async () => {
    const { words, notRead } = await of({ 7: 'denied' });
    expect(words).toEqual([]);
    expect(notRead).toMatchObject([{ kind: 'trace-rings', code: 'unreadable' }]);
  });

  test.each([
    ['anon_inode:[perf_event]', 1],
    ['/memfd:x', 0],
  ])('of a capture, mappings of a process with %s are missing: %d', (link, missing) => {
    const host = new FakeHost();
    host.files.set('/proc/7/maps', 'denied');
    host.links.set('/proc/7/fd/3', link);
    const notRead: NotRead[] = [];
    capturedPerfRings(host, { of: () => 0, hasUring: () => false }, notRead);
    expect(notRead).toHaveLength(missing);
  });
});
