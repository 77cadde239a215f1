import { expect, it } from 'vitest';
import { bpftraceProgram, type ProgramOrder } from '../../../../src/leaks/record/bpftrace/program.js';
import { mapKeys } from '../../../../src/leaks/record/bpftrace/recording-of.js';

const ORDER: ProgramOrder = {
  stackMode: 'raw',
  minOrder: 0,
  pid: null,
  poolPages: false,
  signals: 1 << 30,
  mostSeconds: 600,
};

it('handles frees before allocations, and begins on a signal', () => {
  const text = bpftraceProgram(ORDER);
  const probes = [...text.matchAll(/^(?:BEGIN|END|[a-z]+:\S+)$/gm)].map(([name]) => name);
  expect(probes).toEqual([
    'BEGIN',
    'tracepoint:kmem:mm_page_free',
    'tracepoint:kmem:mm_page_alloc',
    'tracepoint:syscalls:sys_enter_kill',
    'interval:s:1',
    'interval:s:600',
    'END',
  ]);
  expect(text).toContain(`args->pid >= ${1 << 30} && args->pid <= ${(1 << 30) + 2}`);
  expect(text.split('{').length).toBe(text.split('}').length);
});

it('changes only numbers and fixed parts by options', () => {
  const changedText = bpftraceProgram({ ...ORDER, minOrder: 3, pid: 4711, stackMode: 'perf' });
  expect(changedText).toContain('if ($o >= 3 && pid == 4711) {');
  expect(changedText).toContain('kstack(perf, 32)');
  expect(changedText).not.toContain('raw');
  expect(bpftraceProgram({ ...ORDER, poolPages: true })).toContain('page_pool_state_hold');
});

it('accepts only numbers', () => {
  const bad = (order: object) => () => bpftraceProgram({ ...ORDER, ...order });
  for (const value of [Number.NaN, -1, 1.5, 2 ** 60, '1; exit()' as unknown as number]) {
    expect(bad({ pid: value })).toThrow(RangeError);
    expect(bad({ minOrder: value })).toThrow(RangeError);
    expect(bad({ signals: value })).toThrow(RangeError);
    expect(bad({ mostSeconds: value })).toThrow(RangeError);
  }
});

it('limits maps to 1/8 of available memory and 256 MiB, less with many CPUs', () => {
  expect(mapKeys(500_000, 2 ** 30, 2)).toBe(Math.floor(2 ** 27 / 432));
  expect(mapKeys(500_000, 64 * 2 ** 30, 2)).toBe(500_000);
  expect(mapKeys(500_000, 64 * 2 ** 30, 256)).toBe(Math.floor(2 ** 28 / (400 + 16 * 256)));
  expect(() => mapKeys(500_000, 2 ** 25, 2)).toThrow(/not enough memory/);
  expect(() => mapKeys(500_000, null, 2)).toThrow(/not enough memory/);
});
