import { describe, expect, test } from 'vitest';
import {
  blockFilter,
  frameFilter,
  objectFilter,
} from '../../../../src/leaks/record/tracefs/filter.js';
import { ALL, narrowed, sampleOf } from '../../../../src/leaks/record/tracefs/kinds.js';
import type { Sample } from '../../../../src/leaks/recording.js';

const MOST_ORDER = 10;

/** The kernel's filters are C but for `a & m`, which is "not zero": with its parentheses JavaScript reads it alike. */
function passes(filter: string): (fields: Record<string, number>) => boolean {
  expect(filter).toMatch(/^[\w\s&|!()>=]+$/);
  const names = ['pfn', 'order', 'ptr'];
  const act = new Function(...names, `return Boolean(${filter});`);
  return (fields) => act(...names.map((name) => fields[name]));
}

function hasFrameOf({ mask, residue }: Sample, start: number, order: number): boolean {
  for (let frame = start; frame < start + 2 ** order; frame++)
    if ((BigInt(frame) & mask) === residue) return true;
  return false;
}

function samples(lowBit: number, oneIn: number): Sample[] {
  const mask = BigInt(oneIn - 1) << BigInt(lowBit);
  return Array.from({ length: oneIn }, (_, at) => ({
    oneIn,
    mask,
    residue: BigInt(at) << BigInt(lowBit),
  }));
}

describe.each([
  [3, 2],
  [3, 16],
  [0, 8],
  [5, 64],
])('a filter for blocks: bits from %i on, one in %i', (lowBit, oneIn) => {
  test.each(samples(lowBit, oneIn).filter((_, at) => at % 5 < 2))(
    'lets through exactly those that have a frame of the sample: $residue',
    (sample) => {
      const filter = passes(blockFilter(sample));
      for (let order = 0; order <= MOST_ORDER; order++)
        for (let start = 0; start < 2 ** 11; start += 2 ** order)
          if (filter({ pfn: start, order }) !== hasFrameOf(sample, start, order))
            expect.fail(`${blockFilter(sample)}: frame ${start}, order ${order}`);
    },
  );
});

describe('filters', () => {
  const sample: Sample = { oneIn: 8, mask: 0x38n, residue: 0x28n };

  test('of most blocks one or two comparisons are made', () => {
    expect(blockFilter(sample)).toBe(
      '(!(pfn & 0x10) && (pfn & 0x8) && (pfn & 0x20)) || (order >= 4 && ((!(pfn & 0x10) && (pfn & 0x20)) || (order >= 5 && ((pfn & 0x20) || order >= 6))))',
    );
  });

  test('small blocks can be left out', () => {
    expect(blockFilter(ALL, 3)).toBe('order >= 3');
    expect(blockFilter(sample, 3)).toBe(`order >= 3 && (${blockFilter(sample)})`);
  });

  test('where all is followed nothing is filtered', () => {
    expect([blockFilter(ALL), frameFilter(ALL), objectFilter(ALL)]).toEqual(['0', '0', '0']);
  });

  test('frames and objects are asked for by all bits', () => {
    expect(frameFilter(sample)).toBe('(!(pfn & 0x10) && (pfn & 0x8) && (pfn & 0x20))');
    expect(objectFilter({ oneIn: 4, mask: 0x3000n, residue: 0n })).toBe('!(ptr & 0x3000)');
  });

  test('the longest one fits into a page', () => {
    const mask = 0xfffn << 3n;
    expect(blockFilter({ oneIn: 4096, mask, residue: mask }).length).toBeLessThan(4000);
  });
});

describe('samples', () => {
  test('which ones is a matter of chance', () => {
    const residues = Array.from({ length: 200 }, () => sampleOf(8, 3).residue);
    expect(new Set(residues).size).toBe(8);
    expect(residues.every((residue) => (residue & ~0x38n) === 0n)).toBe(true);
  });

  test('a part of one is in it, and half as large', () => {
    let sample = sampleOf(1, 12);
    for (let oneIn = 2; oneIn <= 1024; oneIn *= 2) {
      const part = narrowed(sample, 12);
      expect(part.oneIn).toBe(oneIn);
      expect(part.mask).toBe(BigInt(oneIn - 1) << 12n);
      expect(part.residue & sample.mask).toBe(sample.residue);
      sample = part;
    }
  });

  test('no other shares are taken', () => {
    for (const oneIn of [0, 3, 0.5, 8192]) expect(() => sampleOf(oneIn, 3)).toThrow(RangeError);
  });
});
