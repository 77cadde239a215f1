import { expect, test } from 'vitest';
import { ChildCaches, KfencePool, SlabCaches } from '../../../src/walk/pages/slab-caches.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const MEMBERS = {
  'memcg_params.root_cache': 0,
  'memcg_params.children': 16,
  'memcg_params.children_node': 32,
  'memcg_params.memcg': 48,
};

/** A root cache at 0, with its copies for two cgroups at 0x100 and 0x200. */
function caches(members: Readonly<Record<string, number>> = MEMBERS): ChildCaches {
  const node = (cache: number) => made(cache + 32);
  return new ChildCaches(
    madeKernel({
      structs: { kmem_cache: { size: 64, members } },
      words: {
        16: node(0x100),
        24: node(0x200),
        [0x100]: made(0),
        [0x120]: node(0x200),
        [0x128]: made(16),
        [0x130]: made(0x500),
        [0x200]: made(0),
        [0x220]: made(16),
        [0x228]: node(0x100),
        [0x230]: made(0x600),
      },
    }),
  );
}

test('finds the copies of a cache for memory cgroups before 5.9', () => {
  const found = caches();
  expect(found.exist).toBe(true);
  expect([...found.of(made(0))]).toEqual([made(0x100), made(0x200)]);
  expect([made(0), made(0x100), made(0x200)].map((cache) => found.rootOf(cache))).toEqual(
    Array.from({ length: 3 }, () => made(0)),
  );
  expect([made(0), made(0x100), made(0x200)].map((cache) => found.groupOf(cache))).toEqual([
    0n,
    made(0x500),
    made(0x600),
  ]);
});

test('finds no copies since 5.9', () => {
  const found = caches({});
  expect(found.exist).toBe(false);
  expect([...found.of(made(0))]).toEqual([]);
  expect(found.rootOf(made(0x100))).toBe(made(0x100));
  expect(found.groupOf(made(0x100))).toBe(0n);
});

test.each([
  ['an even page of the pool', 0x10_0000, 2, true],
  ['an odd one', 0x10_0000, 3, false],
  ['the first one, which guards the others', 0x10_0000, 0, false],
  ['a page before the pool', 0x10_0000, -2, false],
  ['a page behind the largest pool', 0x10_0000, 131_072, false],
  ['a page where KFENCE is off', 0, 4, false],
])('whether KFENCE may have %s', (_, pool, page, may) => {
  const words = { 8: pool === 0 ? 0n : made(pool) };
  const kernel = madeKernel({ structs: {}, symbols: { __kfence_pool: 8 }, words });
  expect(new KfencePool(kernel).mayHave(made(pool + 4096 * page))).toBe(may);
});

test('any page may be one of KFENCE where its pool is unknown', () => {
  const kernel = (symbols: Readonly<Record<string, number>>) => madeKernel({ structs: {}, symbols, words: {} });
  expect(new KfencePool(kernel({ __kfence_alloc: 8 })).mayHave(made(0))).toBe(true);
  expect(new KfencePool(kernel({})).mayHave(made(0))).toBe(false);
});

test.each([
  ['none, which is off', 0, 0, 8, 0],
  ['a word', 0x400, 8, 8, 8],
  ['as long as objects are aligned', 0x400, 64, 64, 64],
  ['one that is off', 0, 8, 8, undefined],
  ['none, which is on', 0x400, 0, 8, undefined],
  ['one that is not aligned', 0x400, 16, 64, undefined],
])('a red zone before objects: %s', (_, flags, pad, align, found) => {
  const members = { size: [0, 4], flags: [4, 4], red_left_pad: [8, 4], align: [12, 4] } as const;
  const words = { 256: [256, 4], 260: [flags, 4], 264: [pad, 4], 268: [align, 4] } as const;
  const caches = new SlabCaches(madeKernel({ structs: { kmem_cache: { size: 16, members } }, words }));
  const number = () => caches.numberOf(made(0x100));
  if (found === undefined) expect(number).toThrow(/unlike its flags$/);
  else expect(caches.at(number()).pad).toBe(found);
});
