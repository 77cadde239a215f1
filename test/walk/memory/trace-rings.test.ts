import { expect, test } from 'vitest';
import { traceRingFrames } from '../../../src/walk/memory/rings.js';
import { type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';
import { errorOf } from '../../support/native-errors.js';

const frame = (number: number): bigint => made(number * 4096);

/** One ftrace instance with one CPU: the reader page and a ring of two pages. */
function traceKernel(old: boolean, counted = 2n, data?: bigint) {
  const [array, buffer, table, cpu] = [0x100, 0x200, 0x300, 0x400];
  const pages = [0x500, 0x540, 0x580];
  const [reader, first, second] = pages as [number, number, number];
  const named = old ? 'trace_buffer.buffer' : 'array_buffer.buffer';
  const whole: MadeStruct = { size: 64, members: { buffers: 32 } };
  return madeKernel({
    structs: {
      trace_array: {
        size: 128,
        members: {
          list: [0, 16],
          [named]: 32,
          // A kernel with snapshots, and an instance without one.
          ...(data === undefined ? {} : { 'max_buffer.buffer': 72, 'max_buffer.data': 80 }),
        },
      },
      ...(old
        ? { trace_buffer: { size: 40, members: { buffer: 8 } }, 'ring_buffer{buffers}': whole }
        : { trace_buffer: whole }),
      ring_buffer_per_cpu: { size: 64, members: { nr_pages: 0, pages: 8, reader_page: 16 } },
      buffer_page: { size: 64, members: { list: [0, 16], page: 48 } },
      cpumask: { size: 8, members: { bits: 0 } },
    },
    symbols: { ftrace_trace_arrays: 0x40, __cpu_possible_mask: 0x20, __cpu_online_mask: 0x20, nr_cpu_ids: 0x28 },
    words: {
      [0x20]: 1n,
      [0x28]: [1, 4],
      [0x40]: made(array),
      [0x48]: made(array),
      [array]: made(0x40),
      [array + 8]: made(0x40),
      [array + 32]: made(buffer),
      [array + 72]: 0n,
      [array + 80]: data ?? 0n,
      [buffer + 32]: made(table),
      [table]: made(cpu),
      [cpu]: counted,
      [cpu + 8]: made(first),
      [cpu + 16]: made(reader),
      [reader + 48]: frame(3),
      // The low bits mark the position of the writer.
      [first]: made(second) | 1n,
      [first + 48]: frame(4),
      [second]: made(first) | 2n,
      [second + 48]: frame(5),
    },
  });
}

test.each([
  ['ring_buffer', true],
  ['trace_buffer', false],
] as const)('finds pages that ftrace writes to: %s (before 5.6, since)', (_, old) => {
  expect([...traceRingFrames(traceKernel(old))]).toEqual([3, 4, 5]);
  expect(errorOf(() => [...traceRingFrames(traceKernel(old, 3n))])).toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('counts 3 pages, and 2 are there'),
  });
});

test('reads the data of each CPU from an instance whose snapshot was removed', () => {
  expect([...traceRingFrames(traceKernel(false, 2n, 0n))]).toEqual([3, 4, 5]);
  expect(errorOf(() => [...traceRingFrames(traceKernel(false, 2n, made(0x600)))])).toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('has no buffer, but data of one'),
  });
});
