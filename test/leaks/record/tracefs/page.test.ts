import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPage } from '../../../../src/leaks/record/tracefs/page.js';
import { KERNELS, PAGE_BYTES, pagesOf, planOf, streamOf } from './streams.js';

const LAYOUT = { timestamp: 0, commit: 8, data: 16, pageBytes: PAGE_BYTES };
const MISSED = 0x8000_0000;
const COUNTED = 0x4000_0000;

/** A page in the format of include/linux/ring_buffer.h, from 32-bit words. */
function pageOf(stamp: bigint, words: readonly number[], flags = 0, behind = 0n): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeBigUInt64LE(stamp, 0);
  page.writeUInt32LE((words.length * 4 + flags) >>> 0, 8);
  words.forEach((word, at) => {
    page.writeUInt32LE(word >>> 0, 16 + at * 4);
  });
  page.writeBigUInt64LE(behind, 16 + words.length * 4);
  return page;
}

const header = (type: number, delta: number) => ((delta << 5) | type) >>> 0;

function eventsOf(page: Buffer, length = page.length, origin = 0n): string[] {
  const words: string[] = [];
  readPage(page, length, LAYOUT, origin, {
    event: (bytes, from, to, time) => {
      expect(from <= to && to <= length).toBe(true);
      words.push(`${time}: ${bytes.toString('hex', from, to)}`);
    },
    missed: (count, time) => words.push(`${time}: missed ${count}`),
    torn: () => words.push('torn'),
  });
  return words;
}

describe('a page of a ring buffer', () => {
  test.each(KERNELS)('has the expected layout in %s', (kernel) => {
    expect(planOf(streamOf(kernel)).layout).toEqual(LAYOUT);
  });

  test('accumulates times, with long ones before the event', () => {
    const extended = [header(30, 7), 3, header(1, 5), 0x11];
    const absolute = [header(31, 9), 2, header(1, 0), 0x22];
    const long = [header(0, 4), 12, 0x33, 0x44];
    expect(eventsOf(pageOf(1000n, [...extended, ...absolute, ...long]), PAGE_BYTES, 1000n)).toEqual([
      `${3 * 2 ** 27 + 7 + 5}: 11000000`,
      `${2 * 2 ** 27 + 9 - 1000}: 22000000`,
      `${2 * 2 ** 27 + 9 - 1000 + 4}: 3300000044000000`,
    ]);
  });

  test("completes an absolute time with the upper bits of the page's timestamp", () => {
    const upper = 3n << 59n;
    const page = pageOf(upper + 100n, [header(31, 200), 0, header(1, 1), 0]);
    expect(eventsOf(page, PAGE_BYTES, upper)).toEqual(['201: 00000000']);
  });

  test('skips discarded events but counts their time, and may end early', () => {
    const discarded = [header(29, 6), 8, 0xdead];
    expect(eventsOf(pageOf(0n, [...discarded, header(1, 1), 1, header(29, 0), 0xdead]))).toEqual(['7: 01000000']);
  });

  test('reports lost events, with their number if the kernel stores it', () => {
    const data = [header(1, 1), 1];
    expect(eventsOf(pageOf(5n, data, MISSED + COUNTED, 42n))[0]).toBe('5: missed 42');
    expect(eventsOf(pageOf(5n, data, MISSED, 42n))[0]).toBe('5: missed null');
  });

  test.each([
    ['an event that reaches behind the data', pageOf(0n, [header(3, 1), 1])],
    ['a length of 0', pageOf(0n, [header(0, 1), 0, 0, 0])],
    ['a time without its second half', pageOf(0n, [header(30, 1)])],
    ['more data than was read', pageOf(0n, [], 5000)],
    ['a truncated header', Buffer.alloc(10)],
  ])('reports %s as torn', (_, page) => {
    expect(eventsOf(page)).toEqual(['torn']);
  });

  test('yields no events beyond its end if it is truncated', () => {
    const page = pageOf(0n, [header(1, 1), 1, header(1, 1), 2]);
    expect(eventsOf(page.subarray(0, 24), 24)).toEqual(['torn']);
  });

  test('terminates for any bytes, and reads nothing behind them', () => {
    const [page = Buffer.alloc(0)] = pagesOf(streamOf('6.1').allocations);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(PAGE_BYTES - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: PAGE_BYTES }),
        (changes, length) => {
          const damaged = Buffer.from(page);
          for (const [at, byte] of changes) damaged[at] = byte;
          eventsOf(damaged, length);
        },
      ),
      { numRuns: 300 },
    );
  });
});
