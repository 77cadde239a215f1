import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compressLzo } from '../../src/extract/write/compress.js';
import { inflateLzo } from '../../src/kernel/native/image/codecs/lz77.js';

describe('LZO', () => {
  const back = (page: Uint8Array) => inflateLzo(compressLzo(page), page.length);

  const same = (a: Uint8Array | undefined, b: Uint8Array) => a !== undefined && Buffer.compare(a, b) === 0;

  test('restores pages of every kind', () => {
    // Runs of few different bytes: matches of all lengths and distances, long and short literals.
    const run = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 30 }), fc.nat({ max: 400 }));
    const page = fc.array(run, { minLength: 1, maxLength: 25 }).map((runs) => {
      const bytes = Buffer.alloc(4096);
      let at = 0;
      for (const [pattern, times] of runs) {
        for (let i = 0; i < times && at < bytes.length; i++) {
          bytes[at++] = pattern[i % pattern.length] ?? 0;
        }
      }
      return new Uint8Array(bytes);
    });
    fc.assert(
      fc.property(page, (bytes) => {
        expect(same(back(bytes), bytes)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('restores noise, and compresses zeros to almost nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4096, maxLength: 4096 }), (bytes) => {
        expect(same(back(bytes), bytes)).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(compressLzo(new Uint8Array(4096)).length).toBeLessThan(40);
  });

  test('restores a large page of distant short matches, which save nothing', () => {
    // Bytes without three in a row that repeat; in the second part, four, and three from the first.
    let state = 1;
    const next = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 16;
    };
    const page = new Uint8Array(65_536).map(next);
    for (let at = 2500; at + 7 <= page.length; at += 7) {
      const from = at - 2100 - (next() % 100);
      page.copyWithin(at + 4, from, from + 3);
    }
    expect(compressLzo(page).length).toBeGreaterThan(65_536 + 4160);
    expect(same(back(page), page)).toBe(true);
  });
});
