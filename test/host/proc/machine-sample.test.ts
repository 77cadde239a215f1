import { expect, test } from 'vitest';
import {
  hostOrigin,
  parsePressure,
  readCgroupMemory,
  readCgroupPressure,
  readMachine,
  readMachinePressure,
} from '../../../src/host/proc/machine-sample.js';
import { madeSource } from '../../support/made-host.js';
import { FakeHost } from '../fake-host.js';

const SOME = 'some avg10=1.53 avg60=0.87 avg300=100.00 total=10927';
const PSI = `${SOME}\nfull avg10=0.00 avg60=0.11 avg300=0.00 total=7\n`;
const PARSED = {
  some: { avg10: 1.53, avg60: 0.87, avg300: 100, totalMicroseconds: 10_927 },
  full: { avg10: 0, avg60: 0.11, avg300: 0, totalMicroseconds: 7 },
};

test('the origin of an answer has the OOM kills since boot, if the kernel counts them', () => {
  const host = new FakeHost();
  const killsIn = (vmstat: string) => {
    host.files.set('/proc/vmstat', vmstat);
    return hostOrigin(host, null).oomKills;
  };
  expect(killsIn('nr_free_pages 5\noom_kill 2\n')).toBe(2);
  expect(killsIn('oom_kill 0\n')).toBe(0);
  for (const unknown of ['', 'nr_free_pages 5\n', 'oom_kill many\n', 'xoom_kill 5\n'])
    expect(killsIn(unknown)).toBeUndefined();
});

test('reads both lines of PSI', () => {
  expect(parsePressure(PSI)).toEqual(PARSED);
});

test.each(['', `${SOME}\n`, PSI.replace('0.11', 'much'), PSI.replace('avg60', 'avg61')])('rejects %j', (text) => {
  expect(parsePressure(text)).toBeNull();
});

test('reports a kernel without PSI, without zeros', () => {
  const host = new FakeHost();
  expect(readMachinePressure(host)).toEqual({ code: 'gone', why: '/proc/pressure/memory: not found' });
  host.files.set('/proc/pressure/memory', 'broken');
  expect(readMachinePressure(host)).toMatchObject({ code: 'unreadable', why: 'malformed /proc/pressure/memory' });
  host.files.set('/proc/pressure/memory', PSI);
  expect(readMachinePressure(host)).toEqual({ pressure: PARSED });
});

test.each(['/sys/fs/cgroup', '/sys/fs/cgroup/unified'])('reads the pressure of a cgroup below %s', (root) => {
  const host = new FakeHost();
  host.files.set(`${root}/a/b/memory.pressure`, PSI);
  expect(readCgroupPressure(host, '/a/b')).toEqual(PARSED);
  expect(readCgroupPressure(host, '/a')).toBeNull();
});

test('does not follow a path that leaves the cgroup tree', () => {
  const host = new FakeHost();
  host.files.set('/sys/fs/cgroup/../../x/memory.pressure', PSI);
  expect(readCgroupPressure(host, '/../../x')).toBeNull();
});

test('refuses a machine without a monotonic clock', () => {
  const host = new FakeHost();
  expect(() => readMachine(host, new Date())).toThrow('malformed /proc/uptime');
});

test('returns null for values that a machine does not report', () => {
  const host = new FakeHost();
  host.files.set('/proc/uptime', '12.50 3.00\n');
  host.files.delete('/proc/meminfo');
  const none = { memTotalBytes: null, memAvailableBytes: null, swapTotalBytes: null, swapFreeBytes: null };
  expect(readMachine(host, new Date(5))).toEqual({
    at: '1970-01-01T00:00:00.005Z',
    uptimeSeconds: 12.5,
    bootId: null,
    host: null,
    ...none,
    pressure: null,
    noPressure: '/proc/pressure/memory: not found',
    noPressureCode: 'gone',
  });
  host.files.set('/proc/meminfo', 'MemTotal:  100 kB\nMemAvailable:  50 kB\nSwapTotal:  0 kB\n');
  host.files.set('/proc/sys/kernel/random/boot_id', 'b1\n');
  expect(readMachine(host, new Date(5))).toMatchObject({
    memTotalBytes: 102_400,
    memAvailableBytes: 51_200,
    swapTotalBytes: 0,
    swapFreeBytes: null,
    bootId: 'b1',
  });
});

const V2 = '/sys/fs/cgroup';

const STAT =
  'anon 100\nfile 900\nkernel 50\nshmem 40\nsock 30\nsock_throttled 4\nslab 20\ninactive_file 500\nactive_file 300\nslab_reclaimable 7\nthp_fault_alloc 1\n';

const pod = (more: Readonly<Record<string, string>> = {}) => ({
  [`${V2}/pod/memory.current`]: '2000\n',
  [`${V2}/pod/memory.max`]: '3000\n',
  [`${V2}/pod/app/memory.current`]: '1000\n',
  [`${V2}/pod/app/memory.peak`]: '1500\n',
  [`${V2}/pod/app/memory.max`]: '4000\n',
  [`${V2}/pod/app/memory.high`]: 'max\n',
  [`${V2}/pod/app/memory.stat`]: STAT,
  [`${V2}/pod/app/memory.events`]: 'low 0\nhigh 3\nmax 2\noom 1\noom_kill 1\n',
  ...more,
});

test('version 2: reads values, and the smallest limit of the cgroup and its ancestors', () => {
  expect(readCgroupMemory(madeSource({ files: pod() }), '/pod/app')).toEqual({
    current: 1000,
    peak: 1500,
    limit: 3000,
    limitKnown: true,
    limitOf: '/pod',
    high: null,
    anonymous: 100,
    file: 900,
    shmem: 40,
    kernel: 50,
    slab: 20,
    sock: 30,
    sockThrottled: 4,
    activeFile: 300,
    inactiveFile: 500,
    reclaimable: 807,
    highEvents: 3,
    maxEvents: 2,
    oomKills: 1,
    pressure: null,
  });
});

test('version 1: reads totals with descendants, and no limit', () => {
  const at = '/sys/fs/cgroup/memory';
  const files = {
    [`${at}/memory.usage_in_bytes`]: '9000\n',
    [`${at}/web/memory.usage_in_bytes`]: '5000\n',
    [`${at}/web/memory.limit_in_bytes`]: '9223372036854771712\n',
    [`${at}/web/memory.stat`]:
      'cache 1\nrss 1\ntotal_cache 30\ntotal_rss 20\ntotal_shmem 4\ntotal_inactive_file 10\ntotal_active_file 5\n',
    [`${at}/web/memory.failcnt`]: '7\n',
    [`${at}/web/memory.oom_control`]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    // Without a limit on TCP memory the kernel does not count it.
    [`${at}/web/memory.kmem.tcp.usage_in_bytes`]: '4096\n',
  };
  expect(readCgroupMemory(madeSource({ files }), '/web')).toMatchObject({
    current: 5000,
    limit: null,
    limitKnown: true,
    limitOf: null,
    anonymous: 20,
    file: 30,
    reclaimable: 15,
    maxEvents: 7,
    oomKills: 2,
    sock: null,
    sockThrottled: null,
    activeFile: 5,
    inactiveFile: 10,
  });
});

test('returns null for missing or malformed values, never zero', () => {
  const files = pod({ [`${V2}/pod/app/memory.stat`]: 'anon -5\nfile x\n' });
  expect(readCgroupMemory(madeSource({ files }), '/pod/app')).toMatchObject({
    anonymous: null,
    file: null,
    reclaimable: null,
  });
  const above = pod({ [`${V2}/pod/memory.max`]: '' });
  expect(readCgroupMemory(madeSource({ files: above }), '/pod/app')).toMatchObject({ limit: 4000, limitKnown: false });
  const damaged = pod({ [`${V2}/pod/app/memory.current`]: '1e9\n' });
  expect(readCgroupMemory(madeSource({ files: damaged }), '/pod/app')).toBeNull();
  expect(readCgroupMemory(madeSource({ files: pod() }), '/pod/../pod/app')).toBeNull();
  expect(readCgroupMemory(madeSource({ files: pod() }), '/elsewhere')).toBeNull();
});
