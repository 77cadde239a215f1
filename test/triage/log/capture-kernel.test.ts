import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import { TextLogReader } from '../../../src/log/reader.js';
import { LogFindings } from '../../../src/triage/log/log-findings.js';

function read(...lines: readonly string[]) {
  const findings = new LogFindings(4096);
  const reader = new TextLogReader(findings);
  reader.push(Buffer.from(`${lines.join('\n')}\n`));
  return findings.finish(reader.end());
}
const noDump = (...lines: readonly string[]) => read(...lines).filter(({ code }) => code === 'no-dump');

const BOOT = [
  '[    0.000000] Linux version 5.14.0-427.el9.x86_64 (x@y) #1 SMP',
  '[    0.000000] Command line: elfcorehdr=0x6f000000 root=/dev/mapper/rhel-root irqpoll nr_cpus=1 reset_devices',
];
const SAVING = '[   13.900000] kdump.sh[297]: kdump: saving vmcore';
const FAILED = '[   14.456662] kdump.sh[297]: kdump: saving vmcore failed, _exitcode:1';
const NO_SPACE = `[   14.440000] kdump.sh[332]: Can't write the dump file(/sysroot/var/crash/a/vmcore-incomplete). No space left on device`;

/** Zone Normal has 1 MiB free, its min watermark is 2 MiB; 64 Ki pages are 256 MiB. */
function oom(order: number, rssPages: number, outcome: readonly string[]): string[] {
  return [
    `makedumpfile invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=${order}, oom_score_adj=0`,
    'CPU: 0 PID: 412 Comm: makedumpfile Not tainted 5.14.0-427.el9.x86_64 #1',
    'Mem-Info:',
    'active_anon:100 inactive_anon:11900 isolated_anon:0',
    ' active_file:4 inactive_file:8 isolated_file:0',
    ' unevictable:6000 dirty:0 writeback:0',
    ' slab_reclaimable:1200 slab_unreclaimable:4300',
    ' mapped:20 shmem:2000 pagetables:300',
    ' sec_pagetables:0 bounce:0',
    ' kernel_misc_reclaimable:0',
    ' free:256 free_pcp:0 free_cma:0',
    'Node 0 DMA32 free:1024kB boost:0kB min:2048kB low:2560kB high:3072kB reserved_highatomic:0KB active_anon:400kB inactive_anon:47600kB active_file:16kB inactive_file:32kB unevictable:24000kB writepending:0kB present:262144kB managed:200000kB mlocked:0kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB',
    'lowmem_reserve[]: 0 0 0 0 0',
    'Node 0 DMA32: 256*4kB (U) 0*8kB 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 1024kB',
    '6012 total pagecache pages',
    '65536 pages RAM',
    '0 pages HighMem/MovableOnly',
    '15536 pages reserved',
    'Tasks state (memory values in pages):',
    '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
    `[    412]     0   412    12000     ${rssPages}   131072        0             0 makedumpfile`,
    ...outcome,
  ].map((line, index) => `[   14.${String(index).padStart(6, '0')}] ${line}`);
}
const KILL = [
  'oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=makedumpfile,pid=412,uid=0',
  'Out of memory: Killed process 412 (makedumpfile) total-vm:48000kB, anon-rss:40000kB, file-rss:960kB, shmem-rss:0kB, UID:0 pgtables:128kB oom_score_adj:0',
];
const DEADLOCK = [
  'Out of memory and no killable processes...',
  'Kernel panic - not syncing: System is deadlocked on memory',
];

describe('the capture kernel reports why it saved no dump', () => {
  test.each([
    ['space', [SAVING, NO_SPACE, FAILED]],
    [
      'collector',
      [
        SAVING,
        `[   14.1] kdump.sh[332]: open_dump_memory: Can't open the dump memory(/proc/vmcore). No such file or directory`,
        FAILED,
      ],
    ],
    ['memory', [SAVING, "[   14.1] kdump.sh[332]: cp: error reading '/proc/vmcore': Cannot allocate memory", FAILED]],
    ['network', ["[  620.1] kdump[301]: Oops. The network still isn't ready after waiting 10mins."]],
    ['network', ['[   20.1] kdump.sh[310]: ssh: connect to host 10.1.1.1 port 22: No route to host', FAILED]],
    [
      'device',
      [
        '[   99.1] systemd[1]: dev-mapper-rhel\\x2droot.device: Job timed out',
        '[   99.2] systemd[1]: Timed out waiting for device /dev/mapper/rhel-root.',
      ],
    ],
    ['timeout', ['[  201.9] dracut-initqueue[455]: Warning: dracut-initqueue timeout - starting timeout scripts']],
  ])('%s', (reason, lines) => {
    const [finding, ...others] = noDump(...BOOT, ...lines);
    expect([finding?.figures.reason, finding?.severity, others]).toEqual([reason, 'warning', []]);
    expect(finding?.evidence.length).toBeGreaterThan(0);
  });

  test('a dump that was saved, and the same lines of another kernel, are no finding', () => {
    const timeout = '[    9.9] dracut-initqueue[455]: Warning: dracut-initqueue timeout - starting timeout scripts';
    expect(noDump(...BOOT, timeout, SAVING, '[   14.4] kdump.sh[297]: kdump: saving vmcore complete')).toEqual([]);
    expect(noDump(BOOT[0] ?? '', timeout, '[   14.4] cp: No space left on device')).toEqual([]);
    // The log of the kernel before it was saved, the dump was not.
    const log = '[   13.4] kdump.sh[297]: The dmesg log is saved to /var/crash/a/dmesg. makedumpfile Completed.';
    expect(noDump(...BOOT, log, NO_SPACE)).toHaveLength(1);
  });

  test('the panic and the capture kernel are boots of one console', () => {
    const first = [
      '[    0.000000] Linux version 5.14.0-427.el9.x86_64 (x@y) #1 SMP',
      '[   99.000000] Kernel panic - not syncing: sysrq triggered crash',
    ];
    const found = read(...first, ...BOOT, SAVING, NO_SPACE, FAILED);
    expect(found.map(({ code, figures }) => [code, figures.boot])).toEqual([
      ['panic', -1],
      ['no-dump', 0],
    ]);
  });

  test('kexec-dmesg.log: dmesg -T, then the journal', () => {
    const found = noDump(
      '[Fri Nov 20 04:12:00 2026] Linux version 5.14.0-427.el9.x86_64 (x@y) #1 SMP',
      '[Fri Nov 20 04:12:00 2026] Command line: elfcorehdr=0x6f000000 root=/dev/mapper/rhel-root',
      'Nov 20 04:12:00 host kernel: Linux version 5.14.0-427.el9.x86_64 (x@y) #1 SMP',
      'Nov 20 04:12:14 host kdump.sh[332]: write_buffer: No space left on device',
      'Nov 20 04:12:14 host kdump[726]: saving vmcore failed, exitcode:1',
    );
    expect(found.map(({ figures }) => figures.reason)).toEqual(['space']);
  });
});

describe('how much memory a capture kernel needed', () => {
  const MIB = 2 ** 20;

  test('the last request would have needed more than its memory and the distance to the watermark', () => {
    const [finding] = noDump(...BOOT, ...oom(0, 10_000, DEADLOCK));
    const short = MIB + 4096;
    expect(finding?.figures).toMatchObject({
      reason: 'memory',
      ramBytes: 256 * MIB,
      reservedBytes: 15_536 * 4096,
      shortBytes: short,
      moreThanBytes: 256 * MIB + short,
      kills: 0,
      aboutBytes: null,
      comm: 'makedumpfile',
    });
    const words = finding && findingWords(finding);
    expect(words).toContain('Capture kernel out of memory: it had 256 MiB, and saved no dump.');
    expect(words).toContain('crashkernel= must reserve more than 257 MiB');
  });

  test('with the processes that were killed before it is an estimate', () => {
    const more = 256 * MIB + MIB + 4 * 4096;
    // The only victim was still in memory when it was short.
    const [once] = noDump(...BOOT, ...oom(2, 10_240, KILL), SAVING, FAILED);
    expect(once?.figures).toMatchObject({ moreThanBytes: more, kills: 0, aboutBytes: null });
    const [twice] = noDump(...BOOT, ...oom(0, 10_240, KILL), ...oom(2, 10_240, KILL), SAVING, FAILED);
    expect(twice?.figures).toMatchObject({ moreThanBytes: more, kills: 1, aboutBytes: more + 40_960 * 1024 });
    const [deadlock] = noDump(...BOOT, ...oom(0, 10_240, KILL), ...oom(2, 10_240, DEADLOCK));
    expect(deadlock?.figures).toMatchObject({ kills: 1, aboutBytes: more + 40_960 * 1024 });
  });

  test('a truncated report has no bound', () => {
    const [finding] = noDump(...BOOT, oom(0, 1, [])[0] ?? '', ...DEADLOCK.map((line) => `[   15.0] ${line}`));
    expect(finding?.figures).toMatchObject({ reason: 'memory', moreThanBytes: null, aboutBytes: null });
    expect(finding && findingWords(finding)).toContain('does not show how much memory was missing');
  });
});
