import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { readPanic } from '../../../src/walk/log/panic.js';
import { logBackwards } from '../../../src/walk/log/records.js';
import { Unknowns } from '../../../src/walk/warnings.js';
import { blocksOf, kernelWithLog, LOG_AT, LOG_BASE, LOG_BYTES, logFields } from '../../support/made-log.js';

function logOf(lines: readonly string[]): string[] {
  const kernel = kernelWithLog(lines);
  return [...logBackwards(kernel, logFields(kernel))].map(({ text }) => text);
}

/** Offsets of these members in struct printk_info of 6.1. */
const FACILITY_AT = 18;
const CALLER_AT = 20;
const AT = new Map([
  ['facility', { offset: FACILITY_AT, size: 1, type: 'unsigned char', pointer: false }],
  ['caller_id', { offset: CALLER_AT, size: 4, type: 'unsigned int', pointer: false }],
]);
const INFO = { name: 'printk_info', size: 88, members: [], member: (path: string) => AT.get(path) };
const infoAt = (index: number) => LOG_BASE + BigInt(LOG_AT.infos + index * 88);
/** Adds what the types of a kernel declare about its log. */
const typed = (kernel: Kernel): Kernel => ({
  ...kernel,
  struct: (name) => (name === 'printk_info' ? INFO : undefined),
});

function panicOf(lines: readonly string[], panicCpu = -1, crashed = false) {
  const kernel = kernelWithLog(lines, panicCpu);
  const unknowns = new Unknowns();
  return { ...readPanic(kernel, logFields(kernel), crashed, unknowns), unknowns: unknowns.list() };
}

describe('the printk ring buffer', () => {
  test('returns the newest record first', () => {
    expect(logOf(['one', 'two', 'three'])).toEqual(['three', 'two', 'one']);
  });

  test('returns records whose text wraps in full, and no overwritten records', () => {
    const all = Array.from({ length: 60 }, (_, i) => `line ${i} ${'x'.repeat((i * 7) % 30)}`);
    let wrapped = 0;
    for (let count = 1; count <= all.length; count++) {
      const lines = all.slice(0, count);
      const blocks = blocksOf(lines);
      const end = blocks.at(-1)!.next;
      // Eight descriptors; as many bytes of text as the ring has.
      const kept = blocks.slice(-8).filter(({ data }) => end - data <= LOG_BYTES);
      wrapped += kept.filter(({ begin, data }) => data !== begin).length;
      expect(logOf(lines)).toEqual(kept.map(({ line }) => line).reverse());
    }
    expect(wrapped).toBeGreaterThan(10);
  });

  test('reports an absurd size of the ring as damage', () => {
    const kernel = kernelWithLog(['one']);
    kernel.read(LOG_BASE + BigInt(LOG_AT.ring), 4).setUint32(0, 60, true);
    expect(() => [...logBackwards(kernel, logFields(kernel))]).toThrow(expect.objectContaining({ code: 'damaged' }));
  });
});

describe('a panic', () => {
  test.each([
    ['its own fault, whatever other CPUs print in between', [7, 8, 7], 'BUG: own'],
    ['the fault of another CPU, if it reported none itself', [9, 8, 7], 'BUG: soft'],
  ])('has as its cause %s', (_, callers, cause) => {
    const kernel = kernelWithLog(['BUG: own', 'BUG: soft', 'Kernel panic - not syncing: x']);
    for (const [index, caller] of callers.entries())
      kernel.read(infoAt(index) + BigInt(CALLER_AT), 4).setUint32(0, caller, true);
    const panicState = readPanic(typed(kernel), logFields(kernel), false, new Unknowns());
    expect(panicState).toMatchObject({ state: 'panicked', cause });
  });

  test('is not inferred from the name of a process or from writes to /dev/kmsg', () => {
    const named = 'Kernel panic - [77]: segfault at 0 ip 1 sp 2 error 4';
    expect(panicOf(['booting', named])).toMatchObject({ state: 'running' });
    const kernel = kernelWithLog(['booting', 'Kernel panic - not syncing: forged']);
    kernel.read(infoAt(1) + BigInt(FACILITY_AT), 1).setUint8(0, 1);
    const panicState = readPanic(typed(kernel), logFields(kernel), false, new Unknowns());
    expect(panicState).toMatchObject({ state: 'running' });
    expect(panicState).not.toHaveProperty('message');
  });

  const OOPS = [
    'booting',
    'BUG: kernel NULL pointer dereference, address: 0000000000000010',
    'Oops: 0002 [#1] PREEMPT SMP',
    'Kernel panic - not syncing: Fatal exception',
    '---[ end Kernel panic',
  ];

  test('has the last panic line as its message and the preceding fault as its cause', () => {
    expect(panicOf(OOPS, -1, true)).toMatchObject({
      state: 'panicked',
      message: 'Kernel panic - not syncing: Fatal exception',
      cause: 'BUG: kernel NULL pointer dereference, address: 0000000000000010',
      unknowns: [],
    });
  });

  test('has as its cause the first line of a fault report, not the line that counts it', () => {
    const fatal = 'Kernel panic - not syncing: Fatal exception';
    const bug = ['kernel BUG at mm/slub.c:305!', 'invalid opcode: 0000 [#1] SMP'];
    expect(panicOf([...bug, fatal]).cause).toBe('kernel BUG at mm/slub.c:305!');
    const alone = 'divide error: 0000 [#2] SMP';
    expect(panicOf([alone, fatal]).cause).toBe(alone);
    // A line of an earlier fault, whose report has ended.
    const ended = '---[ end trace 0 ]---';
    expect(panicOf([bug[0] ?? '', ended, alone, fatal]).cause).toBe(alone);
  });

  test('has the reason in its own message as its cause, whatever else is in the log', () => {
    const lockup = 'watchdog: BUG: soft lockup - CPU#1 stuck';
    const causes = [
      ['INFO: task a:1 blocked for more than 9 seconds.', 'hung_task: blocked tasks'],
      ['rcu: INFO: rcu_sched self-detected stall on CPU', 'RCU Stall'],
      ['a b invoked oom-killer: gfp_mask=0', 'Out of memory: system-wide'],
      ['WARNING: CPU: 0 PID: 1 at a.c:1', 'panic_on_warn set ...'],
      ['Uhhuh. NMI received for unknown reason 31', 'NMI: Not continuing'],
    ];
    for (const [line = '', reason] of causes) {
      const message = `Kernel panic - not syncing: ${reason}`;
      expect(panicOf([line, lockup, message])).toMatchObject({ message, cause: line });
      expect(panicOf([lockup, message]).cause).toBeUndefined();
    }
  });

  test('has no message if an oops led directly to kdump', () => {
    const { message, cause, state } = panicOf(OOPS.slice(0, 3), -1, true);
    expect({ message, cause, state }).toEqual({
      message: undefined,
      cause: 'BUG: kernel NULL pointer dereference, address: 0000000000000010',
      state: 'panicked',
    });
  });

  test('is excluded only if both the log and the CPUs exclude it', () => {
    expect(panicOf(['booting'])).toMatchObject({ state: 'running', unknowns: [] });
    const kernel = kernelWithLog(['booting']);
    const unknowns = new Unknowns();
    const blind = { ...kernel, symbol: (name: string) => (name === 'prb' ? undefined : kernel.symbol(name)) };
    expect(readPanic(blind, logFields(kernel), false, unknowns).state).toBe('unknown');
    const why = 'the kernel has no symbol prb';
    expect(unknowns.list()).toEqual([{ what: 'the log', code: 'no-symbols', why }]);
  });

  test('is found from one panicked CPU, and an unidentified task is reported', () => {
    const found = panicOf(['booting'], 1);
    expect(found).toMatchObject({ state: 'panicked', cpu: 1 });
    expect(found.task).toBeUndefined();
    expect(found.unknowns.map(({ what }) => what)).toEqual(['panicked task']);
  });
});
