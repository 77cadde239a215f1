import { describe, expect, test } from 'vitest';
import { findingWords } from '../../../src/answers/triage/words.js';
import type { LogCaller, LogRecord } from '../../../src/records/log-records.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';

type Said = string | readonly [caller: number, text: string];

function find(...said: readonly Said[]) {
  const records = said.map((one, seq): LogRecord => {
    const [by, text] = typeof one === 'string' ? [undefined, one] : one;
    const caller: LogCaller | null = by === undefined ? null : { kind: 'task', id: by };
    return { seq, timestamp: 0n, level: 4, facility: 0, caller, comm: '', subsystem: '', device: '', text };
  });
  return logFindings(records, 4096);
}

const codes = (...said: readonly Said[]) => find(...said).map(({ code }) => code);

describe('hostile names of processes', () => {
  test.each([
    'Oops: all good',
    'int3',
    'divide error',
    'refcount_t: ',
    'BUG a (b): c',
    'BUG: KASAN: x',
    'EXT4-fs error',
    'EDAC a: 1 CE ',
  ])('%j yields no finding when the kernel reports the exit of the process', (comm) => {
    expect(codes(`${comm}[77]: segfault at 0 ip 0000000000401136 sp 00007ffd error 4 in a`)).toEqual([]);
    expect(codes(`${comm} (77): drop_caches: 3`)).toEqual([]);
    const request = 'gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0';
    expect(codes(`${comm} invoked oom-killer: ${request}`)).toEqual(['oom-kill']);
    expect(codes(`${comm}: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)`)).toEqual(['allocation-failure']);
    for (const what of [
      'vmalloc error: size 4096, failed to allocate pages, mode:0x2',
      'page allocation stalls for 9ms, order:0, mode:0x2',
    ])
      expect(codes(`${comm}: ${what}`)).toEqual(['allocation-failure']);
  });

  test('do not add a count of faults', () => {
    expect(codes('INFO: task : dead [#1]:9 blocked for more than 120 seconds.')).toEqual(['hung-task']);
    expect(codes('process 9 (a: dead [#1] A) attempted a POSIX timer syscall')).toEqual([]);
  });

  test.each(['a\nb', 'a\rb', 'a\u2028b', '\nOops: x', '\nBUG a (b): c', 'a\n9 pages RAM'])(
    '%j hides nothing, and adds nothing',
    (comm) => {
      const [lockup, ...others] = find(`watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [${comm}:7]`);
      expect(others).toEqual([]);
      expect(lockup).toMatchObject({ code: 'soft-lockup', figures: { comm, pid: 7, cpu: 1 } });
      const hung = find(`INFO: task ${comm}:7 blocked for more than 120 seconds.`);
      expect(hung).toMatchObject([{ code: 'hung-task', figures: { comm, pid: 7 } }]);
      const killed = find(
        'sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0',
        '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
        `[      7]     0     7      600       90    40960        0             0 ${comm}`,
        `Out of memory: Killed process 7 (${comm}) total-vm:4kB, anon-rss:3kB, file-rss:2kB, shmem-rss:1kB, UID:0 pgtables:5kB oom_score_adj:0`,
      );
      expect(killed).toMatchObject([{ code: 'oom-kill', figures: { pid: 7, comm, largestPid: 7, outcome: 'killed' } }]);
      expect(killed[0]?.figures).not.toHaveProperty('managedBytes');
      const fault = find(
        'BUG: kernel NULL pointer dereference, address: 0000000000000010',
        `CPU: 1 UID: 0 PID: 7 Comm: ${comm} Not tainted 6.12.0 #1`,
      );
      expect(fault).toMatchObject([{ code: 'oops', figures: { cpu: 1, pid: 7, comm } }]);
    },
  );
});

describe('interleaved reports', () => {
  test('of two faults have the task and function of each', () => {
    const found = find(
      [7, 'BUG: kernel NULL pointer dereference, address: 0000000000000010'],
      [8, 'BUG: unable to handle page fault for address: ffffc90000ffa000'],
      [7, 'Oops: 0002 [#1] PREEMPT SMP'],
      [7, 'CPU: 0 PID: 7 Comm: first Not tainted 6.12.0 #1'],
      [7, 'RIP: 0010:one+0x1/0x2'],
      [7, '---[ end trace 0000000000000000 ]---'],
      [8, 'Oops: 0000 [#2] PREEMPT SMP'],
      [8, 'CPU: 1 PID: 8 Comm: second Not tainted 6.12.0 #1'],
      [8, 'RIP: 0010:two+0x1/0x2'],
    );
    expect(found.map(({ figures }) => figures)).toEqual([
      expect.objectContaining({ symbol: 'one', cpu: 0, pid: 7, number: 1 }),
      expect.objectContaining({ symbol: 'two', cpu: 1, pid: 8, number: 2 }),
    ]);
  });

  test('do not assign a fault the task of a lockup on another CPU', () => {
    const [fault] = find(
      [7, 'BUG: kernel NULL pointer dereference, address: 0000000000000010'],
      [9, 'CPU: 1 PID: 9 Comm: stuck Not tainted 6.12.0 #1'],
      [9, 'RIP: 0010:stuck_in+0x1/0x2'],
      [7, 'CPU: 0 PID: 7 Comm: faulty Not tainted 6.12.0 #1'],
      [7, 'RIP: 0010:faulty_in+0x1/0x2'],
    );
    expect(fault?.figures).toMatchObject({ pid: 7, comm: 'faulty', symbol: 'faulty_in' });
  });

  test('do not add up free blocks of two failed allocations', () => {
    const blocks = 'Node 0 DMA: 1*4kB (U) 2*8kB (M) = 20kB';
    const found = find(
      [7, 'a: page allocation failure: order:1, mode:0xcc0(GFP_KERNEL)'],
      [8, 'b: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL)'],
      [7, 'free:5 free_pcp:0 free_cma:0'],
      [8, 'free:5 free_pcp:0 free_cma:0'],
      [7, blocks],
      [8, blocks],
    );
    expect(found.map(({ figures }) => figures.freeInLargeBlocksBytes)).toEqual([16384, 20480]);
  });

  test('may begin with any number of callers', () => {
    const many = Array.from(
      { length: 5000 },
      (_, pid): Said => [pid, 'BUG: kernel NULL pointer dereference, address: 0000000000000010'],
    );
    expect(find(...many)).toMatchObject([{ code: 'oops', figures: { times: 5000 } }]);
  });
});

test('do not mix a memory dump with the lines before it', () => {
  const [failed] = find(
    'a: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL)',
    'active_anon:1 inactive_anon:2 isolated_anon:0\n free:9 free_pcp:1 free_cma:0',
  );
  expect(failed?.figures).toMatchObject({ anonBytes: 3 * 4096, freeBytes: 10 * 4096 });
});

test('report an unknown outcome if the log lacks the end of a kill', () => {
  const [cut] = find('sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0');
  expect(cut?.figures.outcome).toBe('unknown');
  expect(cut && findingWords(cut)).toBe(
    'OOM killer invoked by sh; the log does not name the victim. sh requested memory when none was left, and need not be the cause.',
  );
  const [none] = find('Out of memory and no killable processes...');
  expect(none?.figures.outcome).toBe('no-killable-process');
});
