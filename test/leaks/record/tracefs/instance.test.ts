import { expect, test } from 'vitest';
import { sizeBuffers, type TraceInstance } from '../../../../src/leaks/record/tracefs/instance.js';

const MEBIBYTE = 1024 * 1024;

/** Bytes of all buffers in both instances of a recording. */
function allBuffers(cpus: number, free: number): number {
  let bytes = 0;
  for (const purpose of ['allocations', 'frees'] as const) {
    const written: [string, string][] = [];
    const instance = {
      cpus: Array.from({ length: cpus }, (_, at) => at),
      write: (file: string, text: string) => written.push([file, text]),
    } as unknown as TraceInstance;
    sizeBuffers(instance, purpose, free);
    expect(written).toEqual([['buffer_size_kb', expect.stringMatching(/^\d+$/)]]);
    bytes += cpus * Number(written[0]![1]) * 1024;
  }
  return bytes;
}

test.each([1, 2, 8, 13, 64, 128, 256, 1000, 2048])('limits the buffers of %d CPUs to 64 MiB', (cpus) => {
  expect(allBuffers(cpus, 2 ** 40)).toBeLessThanOrEqual(64 * MEBIBYTE);
});

test('limits buffers to 1/16 of free memory, down to the minimum of a buffer', () => {
  expect(allBuffers(4, 160 * MEBIBYTE)).toBeLessThanOrEqual(10 * MEBIBYTE);
  expect(allBuffers(4, 160 * MEBIBYTE)).toBeGreaterThan(9 * MEBIBYTE);
  expect(allBuffers(4, 0)).toBe(4 * 2 * 8 * 1024);
});
