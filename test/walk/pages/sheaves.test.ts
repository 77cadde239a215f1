import { expect, test } from 'vitest';
import { sheavesOf } from '../../../src/walk/pages/free-objects.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const [CACHE, PER_CPU, MAIN, SPARE, FULL, BARN, NODE] = [0x100, 0x200, 0x300, 0x400, 0x500, 0x600, 0x700];

/** A cache with one CPU and one node: two sheaves of the CPU, and a full one in the barn. */
function kernelWith(form: 'node' | 'per_node', { owner = CACHE, size = 1 } = {}) {
  const ofNodes = form === 'node' ? { node: [32, 8, 1] as const } : { per_node: [32, 8, 1] as const };
  return madeKernel({
    structs: {
      kmem_cache: { size: 64, members: { cpu_sheaves: 0, sheaf_capacity: [8, 4], ...ofNodes } },
      slub_percpu_sheaves: { size: 32, members: { main: 0, spare: 8, rcu_free: 16 } },
      slab_sheaf: { size: 64, members: { barn_list: [0, 16], cache: 16, size: [24, 4], objects: [32, 0, 0] } },
      node_barn: { size: 64, members: { sheaves_full: [0, 16] } },
      kmem_cache_node: { size: 64, members: { barn: 8 } },
      kmem_cache_per_node_ptrs: { size: 16, members: { barn: 8 } },
      cpumask: { size: 8, members: { bits: 0 } },
    },
    symbols: { __cpu_possible_mask: 0x20, nr_cpu_ids: 0x28, __per_cpu_offset: 0x30 },
    words: {
      [0x20]: 1n,
      [0x28]: [1, 4],
      [CACHE]: made(PER_CPU),
      [CACHE + 8]: [2, 4],
      [CACHE + 32]: form === 'node' ? made(NODE) : 0n,
      [CACHE + 40]: made(BARN),
      [NODE + 8]: made(BARN),
      [PER_CPU]: made(MAIN),
      [PER_CPU + 8]: made(SPARE),
      [MAIN + 16]: made(CACHE),
      [MAIN + 24]: [2, 4],
      [MAIN + 32]: made(0x1000),
      [MAIN + 40]: made(0x1040),
      [SPARE + 16]: made(owner),
      [SPARE + 24]: [size, 4],
      [SPARE + 32]: made(0x1080),
      [FULL]: made(BARN),
      [FULL + 8]: made(BARN),
      [FULL + 16]: made(CACHE),
      [FULL + 24]: [2, 4],
      [FULL + 32]: made(0x10c0),
      [FULL + 40]: made(0x1100),
      [BARN]: made(FULL),
      [BARN + 8]: made(FULL),
    },
  });
}

test.each(['node', 'per_node'] as const)('finds free objects in sheaves by %s (6.18, 7.1)', (form) => {
  const found = [...sheavesOf(kernelWith(form), made(CACHE))];
  expect(found.map(({ size }) => size)).toEqual([2, 1, 2]);
  expect(found.flatMap((sheaf) => sheaf.objects())).toEqual([0x1000, 0x1040, 0x1080, 0x10c0, 0x1100].map(made));
});

test.each([
  ['of another cache', { owner: MAIN }],
  ['that exceeds its capacity', { size: 3 }],
])('reports a sheaf %s as damage', (_, damage) => {
  expect(() => [...sheavesOf(kernelWith('node', damage), made(CACHE))]).toThrow('is not a sheaf of the cache');
});
