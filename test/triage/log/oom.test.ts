import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { recordsOf } from './records.js';

const PAGE = 4096;
const KIB = 1024;

/** Logs of guests: a cgroup reached its limit of 32 MiB, then memory ran out. Expected values were read by hand. */
const LOGS = [
  {
    release: '5.10',
    cgroup: { pid: 111, anon: 32_400, tables: 96, usage: 32_768, largest: 8279 },
    machine: { pid: 114, anon: 97_608, tables: 224, largestPid: 116, largest: 26_429 },
    pages: { managed: 57_304, free: 675, anon: 51_689, slab: 3323, tables: 133, unattributed: 1284 },
  },
  {
    release: '6.1',
    cgroup: { pid: 123, anon: 32_404, tables: 96, usage: 32_768, largest: 8280 },
    machine: { pid: 125, anon: 97_716, tables: 228, largestPid: 125, largest: 24_582 },
    pages: { managed: 55_847, free: 729, anon: 48_524, slab: 4342, tables: 119, unattributed: 1901 },
  },
  {
    release: '6.12',
    cgroup: { pid: 168, anon: 32_512, tables: 100, usage: 32_720, largest: 8300 },
    machine: { pid: 175, anon: 97_664, tables: 228, largestPid: 175, largest: 24_588 },
    pages: { managed: 54_481, free: 1837, anon: 47_826, slab: 2495, tables: 209, unattributed: 1842 },
  },
  {
    release: '7.2',
    cgroup: { pid: 134, anon: 32_652, tables: 104, usage: 32_768, largest: 8342 },
    machine: { pid: 137, anon: 97_716, tables: 228, largestPid: 137, largest: 24_623 },
    pages: { managed: 53_561, free: 1268, anon: 45_711, slab: 2816, tables: 232, unattributed: 3270 },
  },
];

const log = (release: string) =>
  readFileSync(new URL(`../../../fixtures/logs/oom-${release}.log`, import.meta.url), 'utf8');

describe.each(LOGS)('kills of the OOM killer of $release', ({ release, cgroup, machine, pages }) => {
  const findings = logFindings(recordsOf(log(release)), PAGE);

  test('are each reported once, and nothing else is', () => {
    expect(findings.map(({ code, severity }) => [code, severity])).toEqual([
      ['oom-kill', 'warning'],
      ['oom-kill', 'critical'],
    ]);
  });

  test('include a cgroup at its limit', () => {
    expect(findings[0]?.figures).toMatchObject({
      scope: 'cgroup',
      cgroup: '/pod7/c1',
      victimCgroup: '/pod7/c1',
      times: 1,
      limitBytes: 32_768 * KIB,
      usageBytes: cgroup.usage * KIB,
      invokedBy: 'takeuser',
      order: 0,
      gfp: 'GFP_KERNEL',
      tasks: 1,
      pid: cgroup.pid,
      comm: 'takeuser',
      uid: 0,
      oomScoreAdj: 0,
      victimAnonBytes: cgroup.anon * KIB,
      victimPageTableBytes: cgroup.tables * KIB,
      largestPid: cgroup.pid,
      largestRssBytes: cgroup.largest * PAGE,
    });
    expect(findings[0]?.figures).not.toHaveProperty('managedBytes');
    expect(findings[0]?.evidence.map((one) => one.kind === 'log' && one.text.split(/[ :]/)[0])).toEqual([
      'takeuser',
      'oom-kill',
      'Memory',
    ]);
  });

  test('include the whole machine, the use of its memory, and the unattributed rest', () => {
    expect(findings[1]?.figures).toMatchObject({
      scope: 'machine',
      cgroup: null,
      limitBytes: null,
      tasks: 4,
      pid: machine.pid,
      comm: 'takeuser',
      oomScoreAdj: 500,
      victimAnonBytes: machine.anon * KIB,
      victimPageTableBytes: machine.tables * KIB,
      largestPid: machine.largestPid,
      largestRssBytes: machine.largest * PAGE,
      managedBytes: pages.managed * PAGE,
      freeBytes: pages.free * PAGE,
      anonBytes: pages.anon * PAGE,
      slabBytes: pages.slab * PAGE,
      pageTableBytes: pages.tables * PAGE,
      hugePageBytes: 0,
      unattributedBytes: pages.unattributed * PAGE,
      swapTotalBytes: 0,
      swapFreeBytes: 0,
    });
  });
});

describe('a truncated log', () => {
  const lines = log('6.12').split('\n');

  test('without its beginning names the victim, and leaves the rest unknown', () => {
    const [first, second] = logFindings(recordsOf(lines.slice(90).join('\n')), PAGE);
    expect(first?.figures).toMatchObject({ scope: 'cgroup', pid: 168 });
    expect(first?.figures).toMatchObject({ limitBytes: null, invokedBy: null });
    expect(second?.figures).toMatchObject({ scope: 'machine', pid: 175 });
  });

  test('that ends before the kill reports that the OOM killer was invoked', () => {
    const [only, ...others] = logFindings(recordsOf(lines.slice(0, 50).join('\n')), PAGE);
    expect(only?.figures).toMatchObject({
      scope: 'cgroup',
      cgroup: '/pod7/c1',
      outcome: 'unknown',
      pid: null,
      comm: null,
      invokedBy: 'takeuser',
    });
    expect(others).toEqual([]);
  });

  test('with a missing column does not shift the others', () => {
    const text = log('6.12').replaceAll('      rss rss_anon', '      xyz rss_anon');
    const [, machine] = logFindings(recordsOf(text), PAGE);
    expect(machine?.figures).toMatchObject({ largestPid: null, largestRssBytes: null, pid: 175 });
  });
});

test('with interleaved reports assigns no task the cgroup of another', () => {
  const mixed = log('6.12').replace('Killed process 168 (takeuser)', 'Killed process 169 (other)');
  const [first] = logFindings(recordsOf(mixed), PAGE);
  expect(first?.figures).toMatchObject({
    scope: 'cgroup',
    pid: 169,
    comm: 'other',
    cgroup: null,
    victimCgroup: null,
    limitBytes: null,
    usageBytes: null,
  });
});

test('keeps the memory of a failed allocation apart from the next report', () => {
  const [, machine = ''] = log('6.12').split(/(?=<4>\[ {4}8\.591602\])/);
  const failed = '<4>[    8.000000] a: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)';
  const memory = machine.slice(machine.indexOf('<4>[    8.594990] Mem-Info'));
  const own = memory.replace('free:384 ', 'free:1000 ').replace(/.*pages hwpoisoned\n/, '');
  const findings = logFindings(recordsOf(`${failed}\n${own}\n${machine}`), PAGE);
  const failure = findings.find(({ code }) => code === 'allocation-failure');
  expect(failure?.figures.freeBytes).toBe((1000 + 1453) * PAGE);
});

test('the title of a failed allocation is as its kernel prints it', () => {
  const titleOf = (text: string) =>
    logFindings(recordsOf(`<4>[    8.000000] cat: page allocation ${text}`), PAGE)[0]?.title;
  expect(titleOf('failure. order:9, mode:0xd0')).toBe('page allocation failure. order:9');
  expect(titleOf('failure: order:9, mode:0xd0')).toBe('page allocation failure: order:9');
  expect(titleOf('stalls for 10005ms, order:9, mode:0xd0')).toBe('page allocation stall: order:9');
});

test('reads names of cgroups and tasks that contain separators', () => {
  const text = [
    '<4>[    1.000000] a, b invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
    '<6>[    1.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/x,task_memcg=/y,task=z,task_memcg=/x,task=/y,task=a, b,pid=7,uid=3',
    '<3>[    1.000002] Memory cgroup out of memory: Killed process 7 (a), b) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:3 pgtables:4kB oom_score_adj:-5',
  ].join('\n');
  const [only] = logFindings(recordsOf(text), PAGE);
  expect(only?.figures).toMatchObject({ invokedBy: 'a, b', pid: 7, comm: 'a), b', uid: 3, oomScoreAdj: -5 });
});

test('merges repeated kills into one finding per cgroup, with their number', () => {
  const one = log('6.1').split('\n').slice(0, 66).join('\n');
  const findings = logFindings(recordsOf(Array.from({ length: 50 }, () => one).join('\n')), PAGE);
  expect(findings).toHaveLength(1);
  expect(findings[0]?.figures.times).toBe(50);
  expect(findings[0]?.evidence.length).toBeLessThanOrEqual(4);
});
