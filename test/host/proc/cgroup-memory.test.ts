import { expect, test } from 'vitest';
import { readCgroupMemory } from '../../../src/host/proc/cgroup-memory.js';
import { madeSource } from '../../support/made-host.js';

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

test('version 2: figures, and the smallest limit of the cgroup and those above it', () => {
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

test('version 1: totals with descendants, no limit', () => {
  const at = '/sys/fs/cgroup/memory';
  const files = {
    [`${at}/memory.usage_in_bytes`]: '9000\n',
    [`${at}/web/memory.usage_in_bytes`]: '5000\n',
    [`${at}/web/memory.limit_in_bytes`]: '9223372036854771712\n',
    [`${at}/web/memory.stat`]:
      'cache 1\nrss 1\ntotal_cache 30\ntotal_rss 20\ntotal_shmem 4\ntotal_inactive_file 10\ntotal_active_file 5\n',
    [`${at}/web/memory.failcnt`]: '7\n',
    [`${at}/web/memory.oom_control`]: 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
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

test('what is missing or malformed is unknown, never zero', () => {
  const files = pod({ [`${V2}/pod/app/memory.stat`]: 'anon -5\nfile x\n' });
  expect(readCgroupMemory(madeSource({ files }), '/pod/app')).toMatchObject({
    anonymous: null,
    file: null,
    reclaimable: null,
  });
  const above = pod({ [`${V2}/pod/memory.max`]: '' });
  expect(readCgroupMemory(madeSource({ files: above }), '/pod/app')).toMatchObject({
    limit: 4000,
    limitKnown: false,
  });
  const damaged = pod({ [`${V2}/pod/app/memory.current`]: '1e9\n' });
  expect(readCgroupMemory(madeSource({ files: damaged }), '/pod/app')).toBeNull();
  expect(readCgroupMemory(madeSource({ files: pod() }), '/pod/../pod/app')).toBeNull();
  expect(readCgroupMemory(madeSource({ files: pod() }), '/elsewhere')).toBeNull();
});
