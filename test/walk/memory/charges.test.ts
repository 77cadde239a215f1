import { expect, test } from 'vitest';
import { slabCharges } from '../../../src/walk/memory/charges.js';
import { MADE_PAGES, made, madeKernel } from '../../support/made-kernel.js';

const [ROOT, FIRST, SECOND] = [0x100, 0x200, 0x300];
const GROUPS = [0x1000, 0x2000] as const;

/** A cache, its copies for two cgroups, and their slabs: the cache and the slots of each. */
function kernelWith(slabs: readonly (readonly [cache: number, slots: number])[]) {
  const copy = (cache: number, next: number, previous: number, group: number) => ({
    [cache]: made(ROOT),
    [cache + 32]: made(next),
    [cache + 40]: made(previous),
    [cache + 48]: made(group),
    [cache + 56]: [192, 4] as const,
  });
  const kernel = madeKernel({
    structs: {
      kmem_cache: {
        size: 64,
        members: {
          'memcg_params.root_cache': 0,
          'memcg_params.children': 16,
          'memcg_params.children_node': 32,
          'memcg_params.memcg': 48,
          size: [56, 4],
        },
      },
      page: { size: 64, members: { slab_cache: 24, objects: [40, 4] } },
    },
    words: {
      [ROOT + 16]: made(FIRST + 32),
      [ROOT + 24]: made(SECOND + 32),
      [ROOT + 56]: [192, 4],
      ...copy(FIRST, SECOND + 32, ROOT + 16, GROUPS[0]),
      ...copy(SECOND, ROOT + 16, FIRST + 32, GROUPS[1]),
    },
  });
  const pages = new DataView(new ArrayBuffer(64 * slabs.length));
  for (const [frame, [cache, slots]] of slabs.entries()) {
    pages.setBigUint64(frame * 64 + 24, made(cache), true);
    pages.setUint32(frame * 64 + 40, slots, true);
  }
  const read = (address: bigint, length: number): DataView => {
    const at = Number(address - MADE_PAGES);
    return at >= 0 ? new DataView(pages.buffer, at, length) : kernel.read(address, length);
  };
  return { ...kernel, read };
}

test('before 5.9 charges each slot of a cache copy to its cgroup, and none of the root cache', () => {
  const kernel = kernelWith([
    [ROOT, 21],
    [FIRST, 21],
    [SECOND, 10],
    [FIRST, 5],
  ]);
  const { charges, lost } = slabCharges(kernel, [0, 1, 2, 3]);
  expect(lost).toBe(0);
  expect([...charges]).toEqual([
    [made(GROUPS[0]), { objects: 26, bytes: 26 * 192 }],
    [made(GROUPS[1]), { objects: 10, bytes: 10 * 192 }],
  ]);
});
