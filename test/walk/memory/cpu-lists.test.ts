import { expect, test } from 'vitest';
import { batchedPages } from '../../../src/walk/memory/cpu-lists.js';
import { madeKernel } from '../../support/made-kernel.js';

/** Two CPUs, whose areas are 0x1000 apart, with batches at 0x800 and 0x900 in each. */
function batched(symbols: Readonly<Record<string, number>>): readonly bigint[] | undefined {
  const pages = batchedPages(
    madeKernel({
      structs: {
        cpumask: { size: 8, members: {} },
        pagevec: { size: 128, members: { nr: [0, 1], pages: [8, 120, 15] } },
      },
      symbols: { __cpu_possible_mask: 0, nr_cpu_ids: 8, __per_cpu_offset: 16, ...symbols },
      words: {
        0: 3n,
        8: [2, 4],
        16: 0n,
        24: 0x1000n,
        [0x800]: [1, 1],
        [0x808]: 11n,
        [0x810]: 12n,
        [0x1800]: [2, 1],
        [0x1808]: 21n,
        [0x1810]: 22n,
        [0x1900]: [1, 1],
        [0x1908]: 31n,
      },
    }),
  );
  return pages && [...pages];
}

test('before 5.8 each batch is a variable of its own', () => {
  expect(batched({ lru_add_pvec: 0x800, activate_page_pvecs: 0x900 })).toEqual([
    11n,
    21n,
    22n,
    31n,
  ]);
});

test('a kernel that names none', () => {
  expect(batched({})).toBeUndefined();
});
