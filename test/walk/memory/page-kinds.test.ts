import { expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { KINDS } from '../../../src/records/page-kinds.js';
import { kindTest } from '../../../src/walk/memory/page-kinds.js';
import { type MadeMembers, madeKernel } from '../../support/made-kernel.js';

const COMMON: MadeMembers = { flags: 0, mapping: 24, compound_head: 8, _mapcount: [48, 4], _refcount: [52, 4] };
const TYPED: MadeMembers = { ...COMMON, page_type: [48, 4] };
const FLAGS = ['PG_reserved', 'PG_swapbacked', 'PG_swapcache', 'PG_head', 'PG_slab'];

/** Kinds of pages whose `_mapcount` is each of `values`; all other words are 0, except one reference. */
function kindsOf(
  members: MadeMembers,
  values: readonly number[],
  enums: Readonly<Record<string, readonly string[]>> = {},
): string[] {
  const kernel: Kernel = {
    ...madeKernel({ structs: { page: { size: 64, members } }, words: {} }),
    enumerators: (name) =>
      new Map((name === 'pageflags' ? FLAGS : (enums[name] ?? [])).map((flag, bit) => [flag, BigInt(bit)])),
  };
  const kind = kindTest(kernel);
  return values.map((value) => {
    const view = new DataView(new ArrayBuffer(128));
    view.setUint32(48, value >>> 0, true);
    view.setUint32(52, 1, true);
    return KINDS[kind(view, 0)]!;
  });
}

const NONE = 0xffff_ffff;
const type = (bit: number) => (NONE & ~bit) >>> 0;

test('reads the _mapcount values before 4.18, which do not mark page tables', () => {
  const values = [-128, -256, -512, -1024, -1, 0, 3];
  const kinds = ['free', 'offline', 'held', 'held', 'held', 'held', 'held'];
  expect(kindsOf(COMMON, values)).toEqual(kinds);
});

test('distinguishes the page type values of 4.14 and 4.18', () => {
  // -129 is 0xffffff7f: in 4.18 PG_buddy.
  expect(kindsOf(COMMON, [-129])).toEqual(['held']);
  expect(kindsOf(TYPED, [-129])).toEqual(['free']);
});

const BITS = [0x80, 0x100, 0x200, 0x400].map(type);
const WITH_KMEMCG = ['free', 'offline', 'held', 'page-table'];
const WITHOUT = ['free', 'offline', 'page-table', 'held'];

test.each([
  ['4.18 to 5.10', { mem_cgroup: 56 }, {}, WITH_KMEMCG],
  ['5.10, where slabs name cgroups', { memcg_data: 56 }, { page_memcg_data_flags: ['A'] }, WITH_KMEMCG],
  ['since 5.11', { memcg_data: 56 }, { page_memcg_data_flags: ['MEMCG_DATA_KMEM'] }, WITHOUT],
  ['before 5.11, without memory cgroups', {}, { zone_stat_item: ['NR_PAGETABLE'] }, WITH_KMEMCG],
  ['since 5.11, without memory cgroups', {}, { node_stat_item: ['NR_PAGETABLE'] }, WITHOUT],
] as const)('reads page types as inverted bits: %s', (_, members, enums, kinds) => {
  expect(kindsOf({ ...TYPED, ...members }, [...BITS, NONE], enums)).toEqual([...kinds, 'held']);
});

test('returns no type for a mapped page', () => {
  expect(kindsOf({ ...TYPED, mem_cgroup: 56 }, [0, 5, 0x7fff_ff7f])).toEqual(Array.from({ length: 3 }, () => 'held'));
});
