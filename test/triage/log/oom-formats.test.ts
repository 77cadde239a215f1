import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { textRecords } from '../../../src/log/reader.js';
import { gfpNames } from '../../../src/triage/log/gfp.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { MemcgReader } from '../../../src/triage/log/memcg-info.js';
import { buildOf } from '../../../src/triage/log/release.js';

const PAGE = 4096;
const KIB = 1024;

/** Lines in the format of mm/oom_kill.c, mm/memcontrol.c and mm/page_alloc.c of each release. */
function read(...lines: readonly string[]) {
  return logFindings(textRecords(lines.join('\n')), PAGE).filter(({ code }) => code === 'oom-kill');
}

function only(...lines: readonly string[]) {
  const found = read(...lines);
  expect(found).toHaveLength(1);
  return found[0]!;
}

describe('2.6.32', () => {
  const found = only(
    '<4>httpd invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0, oom_score_adj=0',
    '<6>httpd cpuset=/ mems_allowed=0',
    '<4>Pid: 1234, comm: httpd Not tainted 2.6.32-642.el6.x86_64 #1',
    '<6>Mem-Info:',
    '<4>Node 0 DMA per-cpu:',
    '<4>CPU    0: hi:    0, btch:   1 usd:   3',
    '<4>CPU    1: hi:  186, btch:  31 usd:   4',
    '<4>active_anon:100 inactive_anon:20 isolated_anon:0',
    '<4> active_file:10 inactive_file:5 isolated_file:0',
    '<4> unevictable:1 dirty:0 writeback:0 unstable:0',
    '<4> free:50 slab_reclaimable:7 slab_unreclaimable:8',
    '<4> mapped:3 shmem:2 pagetables:9 bounce:0',
    '<4>Node 0 DMA free:200kB min:400kB low:500kB high:600kB active_anon:480kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB isolated(anon):0kB isolated(file):0kB present:4000kB mlocked:0kB dirty:0kB writeback:0kB mapped:0kB shmem:0kB slab_reclaimable:0kB slab_unreclaimable:0kB kernel_stack:16kB pagetables:0kB unstable:0kB bounce:0kB writeback_tmp:0kB pages_scanned:0 all_unreclaimable? yes',
    '<4>lowmem_reserve[]: 0 0 0 0',
    '<4>Node 0 DMA: 2*4kB 0*8kB 4*16kB 0*32kB 2*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 200kB',
    '<4>13 total pagecache pages',
    '<4>0 pages in swap cache',
    '<4>Free swap  = 0kB',
    '<4>Total swap = 1024kB',
    '<6>1000 pages RAM',
    '<6>200 pages reserved',
    '<6>3 pages shared',
    '<6>600 pages non-shared',
    '<6>[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name',
    '<6>[ 1000]    48  1000    40000       90   1       0             0 httpd',
    '<6>[ 1001]     0  1001     2000        9   0     -17         -1000 sshd',
    '<3>Out of memory: Kill process 1000 (httpd) score 900 or sacrifice child',
    '<3>Killed process 1000, UID 48, (httpd) total-vm:160000kB, anon-rss:300kB, file-rss:60kB',
  );

  test('names the invoking task and the victim', () => {
    expect(found.figures).toMatchObject({
      outcome: 'killed',
      scope: 'machine',
      reason: 'global',
      cgroup: null,
      invokedBy: 'httpd',
      invokedByPid: 1234,
      release: '2.6.32-642.el6.x86_64',
      gfp: 'GFP_HIGHUSER_MOVABLE|__GFP_COLD',
      order: 0,
      cpuset: '/',
      memsAllowed: '0',
      pid: 1000,
      comm: 'httpd',
      uid: 48,
      score: 900,
      victimAnonBytes: 300 * KIB,
      tasks: 2,
      tasksRssBytes: 99 * PAGE,
      tasksSwapBytes: null,
      oomScoreAdj: 0,
    });
    expect(found.title).toBe('Out of memory: Killed process (httpd)');
    expect(findingWords(found)).not.toContain('in place of');
  });

  test('accounts for memory to the page, with the per-CPU free lists of each CPU', () => {
    // 800 managed: 50 + 7 free, 136 on per-CPU lists, 15 of slab, 9 of page tables, 4 of stacks.
    expect(found.figures).toMatchObject({
      managedBytes: 800 * PAGE,
      freeBytes: 57 * PAGE,
      kernelStackBytes: 4 * PAGE,
      unattributedBytes: (800 - 57 - 136 - 15 - 9 - 4) * PAGE,
      shortage: 'watermark',
      zone: 'DMA',
      node: 0,
      zoneMinBytes: 400 * KIB,
    });
  });
});

test('reads the machine and the stack of the invoking task, without lines of another', () => {
  const found = only(
    '[    9.000001] java invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=2, oom_score_adj=0',
    '[    9.000002] CPU: 0 UID: 0 PID: 5 Comm: cron Not tainted 1.2.3 #1',
    '[    9.000003] CPU: 3 UID: 1000 PID: 77 Comm: java Kdump: loaded Tainted: G           OE      6.12.0-55.el10.x86_64 #1 PREEMPT(voluntary)',
    '[    9.000004] Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE',
    '[    9.000005] Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3',
    '[    9.000006] Call Trace:',
    '[    9.000007]  <TASK>',
    '[    9.000008]  dump_stack_lvl+0x4d/0x70',
    '[    9.000009]  ? out_of_memory+0x10/0x20',
    '[    9.000010]  </TASK>',
    '[    9.000011] Mem-Info:',
    '[    9.000012] active_anon:100 inactive_anon:20 isolated_anon:0',
    '[    9.000013]  unevictable:1 dirty:0 writeback:0',
    '[    9.000014]  mapped:3 shmem:2 pagetables:9',
    '[    9.000015]  sec_pagetables:0 bounce:0',
    '[    9.000016]  kernel_misc_reclaimable:6',
    '[    9.000017]  slab_reclaimable:7 slab_unreclaimable:8',
    '[    9.000018]  free:50 free_pcp:0 free_cma:0',
    '[    9.000019] Node 0 active_anon:400kB inactive_anon:80kB kernel_stack:16kB pagetables:36kB sec_pagetables:0kB all_unreclaimable? no Balloon:64kB',
    '[    9.000020] Node 0 Normal free:200kB boost:0kB min:400kB low:500kB high:600kB present:4000kB managed:3200kB mlocked:8kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB',
    '[    9.000021] 13 total pagecache pages',
    '[    9.000022] 3 pages in swap cache',
    '[    9.000023] Free swap  = 100kB',
    '[    9.000024] Total swap = 1024kB',
    '[    9.000025] 1000 pages RAM',
    '[    9.000026] 0 pages HighMem/MovableOnly',
    '[    9.000027] 200 pages reserved',
    '[    9.000028] 5 pages cma reserved',
    '[    9.000029] Out of memory: Killed process 77 (java) total-vm:160000kB, anon-rss:300kB, file-rss:60kB, shmem-rss:40kB, UID:1000 pgtables:8kB oom_score_adj:0',
  );
  expect(found.figures).toMatchObject({
    invokedByPid: 77,
    invokedByUid: 1000,
    cpu: 3,
    taint: 'GOE',
    order: 2,
    requestedBytes: 4 * PAGE,
    release: '6.12.0-55.el10.x86_64',
    distribution: 'RHEL 10 or a rebuild',
    architecture: 'x86_64',
    hardware: 'QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3',
    victimRssBytes: 400 * KIB,
    ramBytes: 1000 * PAGE,
    reservedBytes: 200 * PAGE,
    swapUsedBytes: 924 * KIB - 3 * PAGE,
    mlockedBytes: 8 * KIB,
    balloonBytes: 64 * KIB,
    cmaBytes: 5 * PAGE,
    highMemBytes: 0,
    pageSizeBytes: PAGE,
    // 800 managed: 50 free, 121 on per-CPU lists, 15 of slab, 9 of page tables, 6 of drivers, 4 of stacks.
    unattributedBytes: (800 - 50 - 121 - 15 - 9 - 6 - 4) * PAGE,
  });
  expect(found.oom?.stack).toMatchObject([
    { symbol: 'dump_stack_lvl', guess: false },
    { symbol: 'out_of_memory', guess: true },
  ]);
  expect(findingWords(found)).toContain('OOM killer killed pid 77 (java), which had');
  expect(findingWords(found)).toContain('(RSS 400 KiB, 13 % of memory)');
});

test('ignores the padding that EL6 prints between taint flags', () => {
  const found = only(
    '<4>httpd invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0, oom_score_adj=0',
    '<4>Pid: 1234, comm: httpd Tainted: G           --L------------    2.6.32-642.el6.x86_64 #1 HP ProLiant',
    '<3>Killed process 1000, UID 48, (httpd) total-vm:160000kB, anon-rss:300kB, file-rss:60kB',
  );
  expect(found.figures).toMatchObject({ taint: 'GL', release: '2.6.32-642.el6.x86_64' });
});

test.each([
  ['5.4.0-120-generic', 'Ubuntu', null],
  ['5.15.0-1051-azure', 'Ubuntu (azure)', null],
  ['4.12.14-16.88-azure', 'SUSE', null],
  ['6.4.0-150600.23.47-default', 'SUSE', null],
  ['3.10.0-514.6.1.el7.x86_64', 'RHEL 7 or a rebuild', 'x86_64'],
  ['5.4.17-2136.302.7.2.1.el7uek.x86_64', 'Oracle Linux 7 (UEK)', 'x86_64'],
  ['6.1.0-13-cloud-arm64', 'Debian', 'arm64'],
  ['6.12.38+deb13-amd64', 'Debian', 'x86_64'],
  ['5.10.0-0.deb10.16-amd64', 'Debian', 'x86_64'],
  ['6.1.1-arch1-1', 'Arch Linux', null],
  ['5.15.158-2-pve', 'Proxmox VE', null],
  ['6.12.0', null, null],
])('reads release %s as %s for %s', (release, distribution, architecture) => {
  expect(buildOf(release, [])).toEqual({ distribution, architecture });
});

test('reads a child that is killed in place of its parent (until 5.0)', () => {
  const found = only(
    'Out of memory: Kill process 10 (make) score 300 or sacrifice child',
    'Killed process 12 (cc1plus) total-vm:400kB, anon-rss:300kB, file-rss:0kB, shmem-rss:0kB',
  );
  expect(found.figures).toMatchObject({ pid: 12, comm: 'cc1plus', chosenPid: 10 });
  expect(findingWords(found)).toContain('in place of its parent, pid 10 (make)');
});

describe('a memcg report before 5.0', () => {
  const lines = [
    '[    1.000000] java invoked oom-killer: gfp_mask=0x14000c0(GFP_KERNEL), nodemask=(null),  order=0, oom_score_adj=968',
    '[    1.000001] java cpuset=b7 mems_allowed=0-1',
    '[    1.000002] CPU: 3 PID: 77 Comm: java Not tainted 4.15.0-20-generic #21-Ubuntu',
    '[    1.000003] Task in /kubepods/pod1/b7 killed as a result of limit of /kubepods/pod1',
    '[    1.000004] memory: usage 32768kB, limit 32768kB, failcnt 18',
    '[    1.000005] memory+swap: usage 32768kB, limit 9007199254740988kB, failcnt 0',
    '[    1.000006] kmem: usage 96kB, limit 9007199254740988kB, failcnt 0',
    '[    1.000007] Memory cgroup stats for /kubepods/pod1: cache:0KB rss:0KB rss_huge:0KB shmem:0KB mapped_file:0KB dirty:0KB writeback:0KB inactive_anon:0KB active_anon:0KB inactive_file:0KB active_file:0KB unevictable:0KB',
    '[    1.000008] Memory cgroup stats for /kubepods/pod1/b7: cache:12KB rss:32660KB rss_huge:0KB shmem:0KB mapped_file:0KB dirty:0KB writeback:0KB swap:8KB inactive_anon:0KB active_anon:32660KB inactive_file:0KB active_file:0KB unevictable:0KB',
    '[    1.000009] [ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name',
    '[    1.000010] [   77]  1000    77    17000     8165      30       4        2           968 java',
    '[    1.000011] Memory cgroup out of memory: Kill process 77 (java) score 1976 or sacrifice child',
    '[    1.000012] Killed process 77 (java) total-vm:68000kB, anon-rss:32000kB, file-rss:660kB, shmem-rss:0kB',
    '[    1.000013] oom_reaper: reaped process 77 (java), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB',
  ];

  test('has its path, its limit, and that of its parent', () => {
    const found = only(...lines);
    expect(found).toMatchObject({
      severity: 'warning',
      figures: {
        scope: 'cgroup',
        reason: 'memcg',
        cgroup: '/kubepods/pod1',
        victimCgroup: '/kubepods/pod1/b7',
        limitBytes: 32768 * KIB,
        failures: 18,
        memorySwapLimitBytes: 'unlimited',
        kernelMemoryUsageBytes: 96 * KIB,
        invokedBy: 'java',
        pid: 77,
        comm: 'java',
        reaper: 'reaped',
        nodemask: '(null)',
        victimPageTableBytes: 34 * PAGE,
        victimSwapBytes: 2 * PAGE,
        order: 0,
      },
    });
    expect(found.oom?.memcgs[1]).toMatchObject({
      path: '/kubepods/pod1/b7',
      counters: { rss: 32660 * KIB, cache: 12 * KIB, swap: 8 * KIB },
    });
    expect(findingWords(found)).toContain('Memory cgroup /kubepods/pod1 was at its limit of 32.0 MiB');
  });

  test('has its path if its two halves are separate messages', () => {
    const [, ...rest] = lines[3]?.match(/^(.*killed)( as a result.*)$/) ?? [];
    const found = only(...lines.slice(0, 3), rest[0]!, `[    1.000003]${rest[1]}`, ...lines.slice(4));
    expect(found.figures).toMatchObject({ cgroup: '/kubepods/pod1', victimCgroup: '/kubepods/pod1/b7' });
  });

  test('truncated at any line has no victim outside the text, and no other memcg', () => {
    for (let end = 1; end <= lines.length; end++) {
      const { figures } = only(...lines.slice(0, end));
      expect(figures.cgroup).toBe(end >= 4 ? '/kubepods/pod1' : null);
      expect(figures.outcome).toBe(end >= 13 ? 'killed' : end === 12 ? 'chosen' : 'unknown');
      expect(figures.pid).toBe(end >= 12 ? 77 : null);
      expect(figures.reaper).toBe(end === 14 ? 'reaped' : null);
    }
  });

  test('keeps the remaining lines if the first are overwritten', () => {
    expect(only(...lines.slice(3)).figures).toMatchObject({
      invokedBy: null,
      cgroup: '/kubepods/pod1',
      limitBytes: 32768 * KIB,
      pid: 77,
    });
  });
});

const KILLED = (pid: number, comm: string) =>
  `Memory cgroup out of memory: Killed process ${pid} (${comm}) total-vm:4000kB, anon-rss:${pid}kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:44kB oom_score_adj:0`;
const CHOICE =
  'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/g,task_memcg=/g/a,task=x,pid=7,uid=0';
const INVOKED = 'x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0';

describe('memory.oom.group', () => {
  const group = [
    KILLED(7, 'x'),
    'Tasks in /g are going to be killed due to memory.oom.group set',
    KILLED(8, 'y'),
    'Memory cgroup out of memory: OOM victim 9 (z) is already exiting. Skip killing the task',
    KILLED(10, 'x'),
    'oom_reaper: unable to reap pid:8 (y)',
  ];

  test('is one report with several victims', () => {
    const found = only(INVOKED, CHOICE, ...group);
    expect(found.figures).toMatchObject({ pid: 7, victims: 3, cgroup: '/g', outcome: 'killed' });
    expect(found.oom?.victims).toMatchObject([
      { pid: 7, comm: 'x', reaper: null },
      { pid: 8, comm: 'y', reaper: 'failed' },
      { pid: 10, comm: 'x', anonBytes: 10 * KIB },
    ]);
    expect(findingWords(found)).toContain('2 more processes were killed with it.');
  });

  test('yields separate reports for other kills, whose headers are rate-limited', () => {
    const found = read(INVOKED, CHOICE, KILLED(7, 'x'), KILLED(8, 'y'));
    expect(found.map(({ figures }) => figures.pid)).toEqual([7, 8]);
    expect(found[1]?.figures).toMatchObject({ cgroup: null, invokedBy: null, scope: 'cgroup' });
  });

  test('adds nothing of one report to the next', () => {
    const found = read(INVOKED, CHOICE, ...group, INVOKED.replace(/^x/, 'late'));
    expect(found.map(({ figures }) => [figures.invokedBy, figures.victims])).toEqual([
      ['x', 3],
      ['late', 0],
    ]);
  });
});

describe('no victim', () => {
  test.each([
    ['Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled', 'system-wide'],
    ['Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled', 'compulsory'],
    ['Kernel panic - not syncing: out of memory. panic_on_oom is selected', 'system-wide'],
  ])('%s', (line, panicOnOom) => {
    const found = only(INVOKED, 'Mem-Info:', 'free:9 free_pcp:1 free_cma:0', line);
    expect(found.figures).toMatchObject({ outcome: 'panic', panicOnOom, pid: null, victims: 0 });
    expect(findingWords(found)).toContain(
      `OOM killer invoked by x: the kernel panicked instead of killing a process (${panicOnOom} vm.panic_on_oom).`,
    );
    expect(findingWords(found)).not.toContain('does not name');
  });

  test.each([
    'Out of memory and no killable processes...',
    'Kernel panic - not syncing: Out of memory and no killable processes...',
  ])('%s', (line) => {
    const found = only(INVOKED, line);
    expect(found.figures.outcome).toBe('no-killable-process');
    expect(findingWords(found)).toContain('found no process that it may kill');
  });

  test('reads a victim that was already exiting', () => {
    const line = 'Out of memory: OOM victim 9 (z) is already exiting. Skip killing the task';
    expect(only(INVOKED, line).figures).toMatchObject({ outcome: 'exiting', pid: 9, comm: 'z' });
  });
});

test.each([
  ['CONSTRAINT_CPUSET', 'cpuset', 'of its cpuset (1)'],
  ['CONSTRAINT_MEMORY_POLICY', 'mempolicy', 'of its mempolicy (0-1)'],
])('%s', (constraint, reason, words) => {
  const found = only(
    INVOKED,
    `oom-kill:constraint=${constraint},nodemask=0-1,cpuset=/set,mems_allowed=1,global_oom,task_memcg=/,task=x,pid=7,uid=0`,
    KILLED(7, 'x').replace('Memory cgroup out', 'Out'),
  );
  expect(found.figures).toMatchObject({ reason, scope: 'machine', cpuset: '/set', memsAllowed: '1' });
  expect(findingWords(found)).toContain(words);
});

test('reads a manual OOM from order -1, or from its handler on the stack before 3.19', () => {
  const killed = KILLED(7, 'x').replace('Memory cgroup out', 'Out');
  expect(only(INVOKED.replace('order=0', 'order=-1'), killed).figures.reason).toBe('sysrq');
  const stack = ' [<ffffffff813eab9c>] moom_callback+0x1c/0x20';
  expect(only(INVOKED, 'Call Trace:', stack, killed)).toMatchObject({
    severity: 'warning',
    figures: { reason: 'sysrq' },
  });
});

test('leaves the reason open for a task in its own cpuset until 5.0', () => {
  const killed = 'Out of memory: Kill process 7 (x) score 9 or sacrifice child';
  expect(only(INVOKED, 'x cpuset=batch mems_allowed=1', killed).figures.reason).toBeNull();
  expect(only(INVOKED, 'x cpuset=/ mems_allowed=0-1', killed).figures.reason).toBe('global');
});

/** A machine without CONFIG_NUMA: no zone names its node (ARM, MIPS). */
const ZONES = [
  'Mem-Info:',
  'active_anon:100 inactive_anon:20 isolated_anon:0\n active_file:10 inactive_file:5 isolated_file:0\n unevictable:0 dirty:0 writeback:0 unstable:0\n slab_reclaimable:7 slab_unreclaimable:8\n mapped:3 shmem:2 pagetables:9 bounce:0\n free:525 free_pcp:5 free_cma:0',
  'Node 0 active_anon:400kB inactive_anon:80kB active_file:40kB inactive_file:20kB unevictable:0kB isolated(anon):0kB isolated(file):0kB mapped:12kB dirty:0kB writeback:0kB shmem:8kB writeback_tmp:0kB unstable:0kB all_unreclaimable? no',
  'Normal free:2100kB min:400kB low:500kB high:600kB active_anon:400kB inactive_anon:80kB active_file:40kB inactive_file:20kB unevictable:0kB writepending:0kB present:8000kB managed:7200kB mlocked:0kB kernel_stack:40kB pagetables:36kB bounce:0kB free_pcp:20kB local_pcp:0kB free_cma:0kB',
  'lowmem_reserve[]: 0 0',
  'Normal: 1*4kB (U) 2*8kB (UE) 0*16kB 1*32kB (H) 0*64kB 0*128kB 0*256kB 0*512kB 2*1024kB (H) = 2100kB',
  '2000 pages RAM',
  '0 pages HighMem/MovableOnly',
  '200 pages reserved',
];

describe('the cause of the failed request', () => {
  const invokedWith = (order: number) => INVOKED.replace('order=0', `order=${order}`);

  test('is fragmentation if enough is free, but no unreserved block is large enough', () => {
    const found = only(invokedWith(3), ...ZONES);
    expect(found.figures).toMatchObject({
      shortage: 'fragmentation',
      zone: 'Normal',
      largestFreeOrder: 1,
      zoneFreeBytes: 2100 * KIB,
      zoneHighBytes: 600 * KIB,
      kernelStackBytes: 40 * KIB,
      unattributedBytes: (1800 - 530 - 135 - 15 - 9 - 10) * PAGE,
    });
    expect(found.oom?.zones[0]?.freeBlocks).toContainEqual({ order: 1, count: 2, types: 'UE' });
    expect(findingWords(found)).toContain(
      'Memory was fragmented: zone Normal of node 0 had 2.05 MiB free, but no block of order 3 was usable.',
    );
  });

  test('is unknown if a block was available', () => {
    expect(only(invokedWith(1), ...ZONES).figures.shortage).toBeNull();
  });

  test('includes the reserve of a lower zone in its watermark', () => {
    const dma = [
      'Node 0 DMA free:13312kB boost:0kB min:64kB low:80kB high:96kB present:15984kB managed:15360kB',
      'lowmem_reserve[]: 0 3191 15659 15659 15659',
      'Node 0 DMA32 free:63304kB min:13760kB low:17200kB high:20640kB present:3390712kB managed:3325176kB',
      'lowmem_reserve[]: 0 0 12468 12468 12468',
      'Node 0 Normal free:61900kB boost:8192kB min:61948kB low:75384kB high:88820kB present:13049344kB managed:12767508kB',
      'lowmem_reserve[]: 0 0 0 0 0',
    ];
    const user = INVOKED.replace('0xcc0(GFP_KERNEL)', '0x140dca(GFP_HIGHUSER_MOVABLE)');
    const zones = (lines: readonly string[]) => only(user, 'Mem-Info:', ...lines).figures;
    expect(zones(dma)).toMatchObject({ shortage: 'watermark', zone: 'Normal', node: 0 });
    // Without the reserve, DMA32 would have had enough.
    const without = dma.map((line) => line.replace('0 0 12468 12468 12468', '0 0 0 0 0'));
    expect(zones(without).shortage).toBeNull();
  });
});

test('has no sums from truncated lines, or from lines of some nodes only', () => {
  const cut = ZONES.map((line) => line.replace(/ kernel_stack:.*/, ' kernel_st'));
  expect(only(INVOKED, ...cut).figures).toMatchObject({
    unattributedBytes: null,
    kernelStackBytes: null,
    managedBytes: 1800 * PAGE,
  });
  const other = ZONES.map((line) => line.replace('2000 pages RAM', '4000 pages RAM'));
  expect(only(INVOKED, ...other).figures.unattributedBytes).toBeNull();
  const torn = ZONES.map((line) => line.replace('= 2100kB', '= 2104kB'));
  expect(only(INVOKED, ...torn).oom?.zones[0]?.freeBlocks).toBeNull();
});

describe('page size of a report', () => {
  test('is read from the blocks of order 0', () => {
    const lines = ZONES.map((line) =>
      line.replace(/^(Normal: ).*/, '$1 1*64kB (U) 2*128kB (UE) = 320kB').replace('  ', ' '),
    );
    expect(only(INVOKED, ...lines).figures).toMatchObject({ managedBytes: 1800 * 65536 });
  });

  test('is read from the address space of the victim if a memcg report has no blocks', () => {
    const found = only(
      INVOKED,
      '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
      '[      7]     0     7     1000      500   131072        0             0 x',
      CHOICE,
      KILLED(7, 'x').replace('total-vm:4000kB', 'total-vm:64000kB'),
    );
    expect(found.figures).toMatchObject({ largestRssBytes: 500 * 65536 });
  });
});

test('derives the unit of page tables from the task table, since 5.4 prints bytes as KiB', () => {
  const found = only(
    INVOKED,
    '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
    '[      7]     0     7     1000      500   131072        0             0 x',
    KILLED(7, 'x').replace('pgtables:44kB', 'pgtables:131072kB'),
  );
  expect(found.figures.victimPageTableBytes).toBe(131072);
});

test('lists processes by size and by name, slab caches, and allocation sites', () => {
  const found = only(
    INVOKED,
    ...ZONES,
    'Unreclaimable slab info:',
    'Name                      Used          Total',
    'kmalloc-4k             4096KB       8192KB',
    'Memory allocations:',
    '     1.45 GiB   372736 mm/huge_memory.c:1131 func:vma_alloc_anon_folio_pmd',
    '     96.0 MiB    24576 drivers/net/x.c:77 [x] func:x_alloc',
    'Tasks state (memory values in pages):',
    '[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name',
    '[      5]     0     5     1000      100       90       10         0    40960        0             0 worker',
    '[      6]     0     6     1000       50       40       10         0    40960      500             0 big swap',
    '[      7]     0     7     1000      100       90       10         0    40960        7          -500 worker',
  );
  expect(found.figures).toMatchObject({ tasks: 3, largestPid: 5, tasksSwapBytes: 507 * PAGE });
  expect(found.oom?.tasks.map(({ pid }) => pid)).toEqual([6, 7, 5]);
  expect(found.oom?.byName).toEqual([
    { name: 'big swap', tasks: 1, rssBytes: 50 * PAGE, swapBytes: 500 * PAGE, pageTableBytes: 40960 },
    { name: 'worker', tasks: 2, rssBytes: 200 * PAGE, swapBytes: 7 * PAGE, pageTableBytes: 81920 },
  ]);
  expect(found.oom?.slabs).toEqual([{ cache: 'kmalloc-4k', usedBytes: 4096 * KIB, totalBytes: 8192 * KIB }]);
  expect(found.oom?.sites).toMatchObject([
    { calls: 372736, aboutBytes: Math.round(1.45 * 2 ** 30) },
    { site: 'drivers/net/x.c:77 [x] func:x_alloc', aboutBytes: 96 * 2 ** 20 },
  ]);
});

test('reads the rsyslog and journald formats of one report alike', () => {
  const at = 'Dec 12 16:07:34 host kernel: ';
  const [, counts = ''] = ZONES;
  const lines = [INVOKED, ...ZONES, KILLED(7, 'x').replace('Memory cgroup out', 'Out')];
  const plain = only(...lines).figures;
  const syslog = lines.map((line) => at + line.replaceAll('\n', '#012'));
  const journal = lines.map((line) => at + line.replaceAll('\n', `\n${' '.repeat(at.length)}`));
  expect(counts).toContain('\n');
  expect(only(...syslog).figures).toEqual(plain);
  expect(only(...journal).figures).toEqual(plain);
});

test.each([
  [0x201da, 'GFP_HIGHUSER_MOVABLE|__GFP_COLD'],
  [0xd0, 'GFP_KERNEL'],
  [0x280da, 'GFP_HIGHUSER_MOVABLE|__GFP_ZERO'],
  [0x24201ca, 'GFP_HIGHUSER_MOVABLE|__GFP_COLD'],
  [0x24000c0, 'GFP_KERNEL'],
  [0x20, '__GFP_HIGH'],
])('names flags that a kernel prints only as the mask 0x%x', (mask, names) => {
  expect(gfpNames(mask)).toBe(names);
});

test('ignores an unset limit of a memory cgroup', () => {
  const reader = new MemcgReader();
  for (const text of ['Memory cgroup stats for /a:', 'anon 4096', 'hierarchical_memsw_limit 9223372036854771712'])
    reader.take({ text, whole: text, further: [] });
  expect(reader.groups).toEqual([{ path: '/a', counters: { anon: 4096 } }]);
});
