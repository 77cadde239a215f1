import { describe, expect, it } from 'vitest';
import { OTHER_STACK, StackTable } from '../../src/leaks/site-frames.js';
import { type SiteFrame, untraced } from '../../src/records/allocation-sites.js';

const frame = (symbol: string | null): SiteFrame => ({ symbol, offset: 1, module: null, line: null, guess: false });

it('removes tracing functions, and none behind them', () => {
  const alone = [frame('__alloc_pages'), frame('perf_trace_run'), frame(null)];
  expect(untraced(alone)).toEqual(alone);
  for (const symbol of ['trace_event_raw_event_mm_page_alloc', '__traceiter_kmalloc'])
    expect(untraced([frame(symbol), ...alone])).toEqual(alone);
  // A stack of tracing functions only stays as it is.
  expect(untraced([frame('__traceiter_kmalloc')])).toHaveLength(1);
  expect(untraced([frame(null), frame('__traceiter_kmalloc')])).toHaveLength(2);
});

const A = [0xffff_ffff_8123_4567n, 0xffff_ffff_c000_0001n];

const B = [0xffff_ffff_8123_4567n];

describe('a table of stacks', () => {
  it('assigns each stack one number', () => {
    const table = new StackTable();
    const a = table.numberOf(A);
    const b = table.numberOf(B);
    expect([a, b]).toEqual([1, 2]);
    const view = new DataView(new ArrayBuffer(40));
    view.setBigUint64(5, A[0] ?? 0n, true);
    view.setBigUint64(13, A[1] ?? 0n, true);
    expect(table.number(view, 5, 2)).toBe(a);
    expect(table.number(view, 5, 1)).toBe(b);
    expect(table.addresses(a)).toEqual(A);
    expect(table.addresses(b)).toEqual(B);
    expect(table.addresses(table.numberOf([]))).toEqual([]);
    expect(table.size).toBe(3);
  });

  it('distinguishes thousands of stacks', () => {
    const table = new StackTable();
    const numbers = Array.from({ length: 16_000 }, (_, at) => table.numberOf([BigInt(at), 7n]));
    expect(new Set(numbers).size).toBe(16_000);
    expect(table.addresses(numbers[15_999] ?? 0)).toEqual([15_999n, 7n]);
    expect(table.numberOf([15_999n, 7n])).toBe(numbers[15_999]);
  });

  it('is limited by stacks and by frames', () => {
    const table = new StackTable({ maxStacks: 2, maxFrames: 5 });
    table.numberOf(A);
    expect(table.numberOf([1n, 2n, 3n, 4n])).toBe(OTHER_STACK);
    table.numberOf(B);
    expect(table.numberOf([9n])).toBe(OTHER_STACK);
    expect(table.numberOf(A)).toBe(1);
    expect(table.others).toBe(2);
    expect(table.addresses(OTHER_STACK)).toEqual([]);
    expect(table.addresses(-1)).toEqual([]);
    expect(table.addresses(99)).toEqual([]);
  });
});
