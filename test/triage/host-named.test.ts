import { expect, test } from 'vitest';
import { findingWords } from '../../src/answers/triage/words.js';
import { readHostCounts } from '../../src/host/proc/memory.js';
import type { Finding } from '../../src/triage/finding.js';
import { leakedCounters, loweredTotal, namedMemory } from '../../src/triage/host-named.js';
import { unusedHugePages } from '../../src/triage/host-processes.js';
import { HostReader } from '../../src/triage/host-reader.js';
import { FakeHost } from '../host/fake-host.js';

const MIB = 2 ** 20;

interface Made {
  readonly kib?: Readonly<Record<string, number>>;
  readonly files?: Readonly<Record<string, string>>;
}

/** 1,000 MiB of memory in one zone with 1,040 MiB. */
function reader({ kib = {}, files = {} }: Made): HostReader {
  const host = new FakeHost();
  const meminfo = { MemTotal: 1_024_000, MemFree: 500_000, MemAvailable: 600_000, ...kib };
  const lines = Object.entries(meminfo).map(([name, size]) => `${name}: ${size} kB\n`);
  host.files.set('/proc/meminfo', lines.join(''));
  host.files.set(
    '/proc/zoneinfo',
    `Node 0, zone   Normal\n  pages free     125000\n        present  ${1040 * 256}\n        managed  256000\n  pagesets\n    cpu: 0\n              count: 0\n    cpu: 1\n              count: 0\n`,
  );
  // AT_PAGESZ is 6, and a page has 4096 bytes.
  host.files.set('/proc/self/auxv', '\x06\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0');
  for (const [path, text] of Object.entries(files)) host.files.set(path, text);
  return new HostReader(host, 4096);
}

function words(found: readonly Finding[]): string {
  return found.map(findingWords).join('\n');
}

const HYPER_V = (mib: number) => ({ '/sys/kernel/debug/hv-balloon': `pages_ballooned       : ${mib * 256}\n` });

test('a balloon is a note, and a warning while little memory is available', () => {
  const [note] = namedMemory(reader({ files: HYPER_V(100) }));
  expect(note).toMatchObject({ code: 'balloon', severity: 'note', figures: { bytes: 100 * MIB, isInMemTotal: null } });
  expect(findingWords(note!)).toBe(
    'Balloon: hv_balloon (Hyper-V) returned 100 MiB (10 % of memory) of this guest to the hypervisor. Whether MemTotal includes it is unknown.',
  );
  const [short] = namedMemory(reader({ kib: { MemAvailable: 50_000 }, files: HYPER_V(100) }));
  expect(short?.severity).toBe('warning');
  expect([...namedMemory(reader({ files: HYPER_V(40) }))]).toEqual([]);
});

test('detached page pools of all interfaces are one amount, however many others are larger', () => {
  const pool = (at: number, mib: number, more = '') => `pool 0 1=${at} 2=${at} 4=${mib * 256} 5=${mib * MIB}${more}\n`;
  const found = (text: string) => {
    const { source } = reader({ files: { '/proc/uptime': '1000.00 1.00\n' } });
    return [...namedMemory(new HostReader(Object.assign(source, { netlink: () => `${text}end\n` }), 4096))];
  };
  const large = Array.from({ length: 12 }, (_, at) => pool(at + 2, 300)).join('');
  const [finding, ...others] = found(
    `${large}${pool(20, 4, ' 6=900')}${pool(21, 60, ' 6=800')}${pool(22, 2, ' 6=995')}`,
  );
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    code: 'page-pool-detached',
    figures: { bytes: 64 * MIB, pools: 2, detachedSeconds: 200, interface: 'interface 21', interfaces: 2 },
  });
  expect(findingWords(finding!)).toContain('(64.0 MiB) of interface 21 and 1 more, for 200 s. 2 pools wait');
  expect(findingWords(found(pool(20, 4, ' 6=900'))[0]!)).toContain('of interface 20, for 100 s. The pool waits');
});

test('compressed memory of many devices is that of all', () => {
  const devices = Array.from({ length: 12 }, (_, at) => [
    `/sys/block/zram${at}/mm_stat`,
    `${30 * MIB} 1 ${10 * MIB} 0 0 0 0 0 0\n`,
  ]);
  const [finding] = namedMemory(reader({ files: Object.fromEntries(devices) }));
  expect(finding).toMatchObject({ figures: { bytes: 120 * MIB, dataBytes: 360 * MIB } });
});

test('compressed memory counts each pool once, and names the largest device', () => {
  const files = {
    '/sys/block/zram0/mm_stat': `${300 * MIB} 1 ${100 * MIB} 0 0 0 0 0 0\n`,
    '/sys/block/zram1/mm_stat': `${60 * MIB} 1 ${30 * MIB} 0 0 0 0 0 0\n`,
    '/sys/fs/cgroup/a.slice/memory.zswap.current': `${18 * MIB}\n`,
  };
  const [finding, ...others] = namedMemory(reader({ kib: { Zswap: 20 * 1024, Zswapped: 90 * 1024 }, files }));
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    code: 'compressed-memory',
    figures: { bytes: 150 * MIB, dataBytes: 450 * MIB, device: 'zram0', cgroup: '/a.slice', cgroupBytes: 18 * MIB },
  });
  expect(findingWords(finding!)).toContain('holds 450 MiB of data (ratio 3.0). Largest: zram0, 100 MiB.');
});

test('the cache of ZFS is a note with what ZFS can free', () => {
  const files = { '/proc/spl/kstat/zfs/arcstats': `size 4 ${400 * MIB}\nc_min 4 ${50 * MIB}\n` };
  expect(words([...namedMemory(reader({ files }))])).toBe(
    'ZFS ARC: 400 MiB (40 % of memory) is the cache of ZFS. ZFS can free up to 350 MiB of it, down to its minimum of 50.0 MiB. MemAvailable does not include it.',
  );
});

test('removed cgroups are named by the cgroup that had most', () => {
  const stat = (dying: number) => `nr_descendants 30\nnr_dying_descendants ${dying}\n`;
  const files = { '/sys/fs/cgroup/cgroup.stat': stat(20_000), '/sys/fs/cgroup/jobs.slice/cgroup.stat': stat(19_000) };
  const [finding] = namedMemory(reader({ files }));
  expect(finding).toMatchObject({ code: 'dying-cgroups', severity: 'warning' });
  expect(findingWords(finding!)).toBe(
    'Removed cgroups: memory still keeps 20000 of them (30 exist). 19000 of them were in cgroup /jobs.slice.',
  );
});

test('a source in use that is malformed is missed, not an all-clear', () => {
  const host = reader({ files: { '/sys/kernel/debug/hv-balloon': 'pages_ballooned       : many\n' } });
  const found = host.run('named-memory', 'x', () => namedMemory(host));
  expect(found).toEqual([]);
  expect(host.unread).toMatchObject([{ check: 'named-memory', why: 'malformed /sys/kernel/debug/hv-balloon' }]);
});

test('unused huge pages: what mappings reserve and the largest user stand beside them', () => {
  const pool = '/sys/kernel/mm/hugepages/hugepages-2048kB';
  const files = {
    [`${pool}/nr_hugepages`]: '100\n',
    [`${pool}/free_hugepages`]: '90\n',
    [`${pool}/resv_hugepages`]: '20\n',
    [`${pool}/surplus_hugepages`]: '4\n',
    '/proc/1/status': 'Name:\tinit\nState:\tS\nFDSize:\t64\nThreads:\t1\nHugetlbPages:\t 0 kB\n',
    '/proc/7/status': 'Name:\tdb\nState:\tS\nFDSize:\t64\nThreads:\t1\nHugetlbPages:\t 20480 kB\n',
    '/proc/7/comm': 'db\n',
  };
  const [finding] = unusedHugePages(reader({ kib: { Hugetlb: 204_800 }, files }));
  expect(finding?.figures).toMatchObject({ bytes: 140 * MIB, reservedBytes: 40 * MIB, surplusBytes: 8 * MIB, pid: 7 });
  expect(findingWords(finding!)).toContain(
    'Another 40.0 MiB is reserved by mappings that have not touched it (HugePages_Rsvd). 8.00 MiB is surplus: the kernel frees it when it is unused. Largest user: pid 7 (db) maps 20.0 MiB of huge pages.',
  );
});

const vmstat = (...lines: readonly string[]) => ({ '/proc/vmstat': lines.map((line) => `${line}\n`).join('') });
const TCP = (alloc: number, mem: number) => ({
  '/proc/net/sockstat': `sockets: used 9\nTCP: inuse ${alloc} orphan 0 tw 3 alloc ${alloc} mem ${mem}\nUDP: inuse 2 mem 1\n`,
});

test.each([
  [
    'a negative counter, as the kernel prints it',
    { files: vmstat('nr_writeback 18446744073709551613') },
    'nr_writeback',
  ],
  ['more than the machine has', { files: vmstat(`nr_gpu_active ${1041 * 256}`) }, 'nr_gpu_active'],
  ['a line of meminfo that vmstat lacks', { kib: { GPUActive: 1100 * 1024 } }, 'GPUActive'],
  ['isolated pages', { files: vmstat('nr_isolated_file 20000', 'nr_inactive_file 500') }, 'nr_isolated_file'],
  ['TCP memory without a socket', { files: TCP(0, 30_000) }, 'TCP mem'],
])('a counter that leaks: %s', (_, made, counter) => {
  expect([...leakedCounters(reader(made))]).toMatchObject([{ code: 'counter-leak', figures: { counter } }]);
});

test.each([
  ['all memory in one counter', { files: vmstat(`nr_free_pages ${1000 * 256}`) }],
  ['events, which are no pages', { files: vmstat('nr_dirtied 99999999', 'nr_foll_pin_acquired 99999999') }],
  ['few isolated pages', { files: vmstat('nr_isolated_file 600', 'nr_inactive_file 500') }],
  ['many isolated pages of a longer list', { files: vmstat('nr_isolated_file 20000', 'nr_inactive_file 30000') }],
  ['the part of TCP memory that CPUs keep', { files: TCP(0, 1000) }],
  ['TCP memory of sockets, also large', { files: TCP(1, 200_000) }],
  ['no zones', { files: { '/proc/zoneinfo': '', ...vmstat(`nr_file_pages ${1040 * 256}`) } }],
])('no counter leaks: %s', (_, made) => {
  expect([...leakedCounters(reader(made))]).toEqual([]);
});

/** mem_init_print_info (mm/mm_init.c). */
const BOOT = {
  text: 'Memory: 1500000K/2048000K available (18478K kernel code, 2544K rwdata, 10280K rodata, 3728K init, 1168K bss, 48000K reserved, 0K cma-reserved)',
};

test('MemTotal below that of the boot log names the balloon that has no counter', () => {
  const { meminfo } = readHostCounts(reader({}).source);
  expect(words(loweredTotal('hv_balloon', [BOOT], meminfo))).toBe(
    'Balloon: hv_balloon returned 953 MiB (49 % of memory) of this guest to the hypervisor. MemTotal is lower by this amount: it is in no other counter.',
  );
  expect(loweredTotal(undefined, [BOOT], meminfo)).toEqual([]);
  expect(loweredTotal('hv_balloon', [{ text: 'Memory: 9K/2K' }], meminfo)).toEqual([]);
  // Memory that is initialized later is not yet in the line.
  const deferred = { text: BOOT.text.replace('48000K reserved', '1448000K reserved') };
  expect(loweredTotal('hv_balloon', [deferred], meminfo)).toEqual([]);
});
