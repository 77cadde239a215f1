import { expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { NodeCounters } from '../../../src/walk/pages/vm-counters.js';
import { made, madeKernel } from '../../support/made-kernel.js';

/** One node with slab counters of these names: 500 and 600 pages, plus the pending differences of two CPUs. */
function countersOf(reclaimable: string, unreclaimable: string): NodeCounters {
  const kernel: Kernel = {
    ...madeKernel({
      structs: {
        cpumask: { size: 8, members: {} },
        pglist_data: { size: 256, members: { vm_stat: [64, 32, 4], per_cpu_nodestats: 128, node_present_pages: 136 } },
        per_cpu_nodestat: { size: 8, members: { vm_node_stat_diff: [1, 4, 4] } },
      },
      symbols: { __cpu_possible_mask: 0, nr_cpu_ids: 8, __per_cpu_offset: 16 },
      words: {
        0: 3n,
        8: [2, 4],
        16: 0n,
        24: 0x100n,
        [0x1000 + 64 + 8]: 500n,
        [0x1000 + 64 + 16]: 600n,
        [0x1000 + 128]: made(0x2000),
        [0x2002]: [0xff, 1],
        [0x2102]: [4, 1],
        [0x2103]: [7, 1],
      },
    }),
    enumerators: () => new Map(['NR_OTHER', reclaimable, unreclaimable].map((name, item) => [name, BigInt(item)])),
  };
  return new NodeCounters(kernel);
}

test.each([
  ['5.9', 'NR_SLAB_RECLAIMABLE_B', 'NR_SLAB_UNRECLAIMABLE_B'],
  ['4.13', 'NR_SLAB_RECLAIMABLE', 'NR_SLAB_UNRECLAIMABLE'],
])('reads slab counters under one name, as since %s', (_, reclaimable, unreclaimable) => {
  const counters = countersOf(reclaimable, unreclaimable);
  expect(counters.has('NR_SLAB_RECLAIMABLE_B')).toBe(true);
  expect(counters.item(made(0x1000), 'NR_SLAB_RECLAIMABLE_B')).toBe(503);
  expect(counters.item(made(0x1000), 'NR_SLAB_UNRECLAIMABLE_B')).toBe(607);
});

test('reports a missing counter as missing', () => {
  const counters = countersOf('NR_ONE', 'NR_TWO');
  expect(counters.has('NR_SLAB_RECLAIMABLE_B')).toBe(false);
});
