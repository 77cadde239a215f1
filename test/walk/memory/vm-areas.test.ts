import { expect, test } from 'vitest';
import { vmAreas } from '../../../src/walk/memory/vm-areas.js';
import { type MadeMembers, made, madeKernel } from '../../support/made-kernel.js';

const VM = { addr: 0, size: 8, flags: 16, pages: 24, nr_pages: [32, 4], caller: 40 } as const;
const START = 0xffff_c900_0000_0000n;

/** Two areas: one of vmalloc, and one of vm_map_ram whose `vm` has stale data of kmalloc. */
function areas(members: MadeMembers, words: Readonly<Record<number, bigint>>): bigint[] {
  const kernel = madeKernel({
    structs: { vmap_area: { size: 96, members }, vm_struct: { size: 48, members: VM } },
    symbols: { vmap_area_list: 0x100 },
    words: {
      [0x100]: made(0x220),
      [0x108]: made(0x320),
      [0x200]: START,
      [0x208]: START + 0x3000n,
      [0x220]: made(0x320),
      [0x228]: made(0x100),
      [0x300]: START + 0x8000n,
      [0x308]: START + 0x9000n,
      [0x320]: made(0x100),
      [0x328]: made(0x220),
      [0x400]: START,
      [0x408]: 0x3000n,
      [0x410]: 2n,
      [0x418]: made(0x500),
      [0x420]: 2n,
      ...words,
    },
  });
  return [...vmAreas(kernel)].map(({ vm }) => vm);
}

const OLD = { va_start: 0, va_end: 8, flags: 16, list: 32, purge_list: 48, vm: 56 } as const;

test('reads the flag of areas with a vm_struct before 5.4', () => {
  const words = { [0x238]: made(0x400), [0x210]: 4n, [0x338]: made(0x400) };
  expect(areas(OLD, words)).toEqual([made(0x400)]);
});

test('omits an area that waits to be unmapped (VM_LAZY_FREE)', () => {
  expect(areas(OLD, { [0x238]: made(0x400), [0x210]: 2n })).toEqual([]);
});

test.each([
  ['5.4', { va_start: 0, va_end: 8, list: 32, purge_list: 48, vm: 48 }],
  ['since 5.10', { va_start: 0, va_end: 8, list: 32, vm: 48 }],
  ['since 6.4, where the flag has another meaning', { va_start: 0, va_end: 8, list: 32, vm: 48, flags: 56 }],
])('treats `vm` as NULL without the flag: %s', (_, members) => {
  expect(areas(members, { [0x230]: made(0x400) })).toEqual([made(0x400)]);
});

test('refuses an area whose vm_struct has another size', () => {
  const words = { [0x238]: made(0x400), [0x210]: 4n, [0x208]: START + 0x4000n };
  expect(() => areas(OLD, words)).toThrow(/has 16384 bytes; its vm_struct says 12288, and 2 pages/);
});

test.each<readonly [string, Readonly<Record<number, readonly [number, number]>>, RegExp | undefined]>([
  ['is where its address belongs', {}, undefined],
  ['is in the list of another node', { [0x108]: [5, 4] }, /is in the list of another vmap_node$/],
  ['is in a node that is not counted', { [0x108]: [1, 4] }, /^more than 1 vmap_nodes$/],
  ['is in a zone of another size', { [0x100]: [0x4000, 4] }, /is in the list of another vmap_node$/],
  ['is in a zone of no size', { [0x100]: [0, 4] }, /^vmap_zone_size is 0$/],
])('since 6.9, an area %s', (_, words, message) => {
  const start = START + 0x1_0000n;
  const kernel = madeKernel({
    structs: {
      vmap_area: { size: 96, members: { va_start: 0, va_end: 8, list: 32, vm: 48 } },
      vm_struct: { size: 48, members: VM },
      vmap_node: { size: 64, members: { busy: [0, 24], 'busy.head': 16, lazy: [32, 24], 'lazy.head': 48 } },
    },
    symbols: { vmap_zone_size: 0x100, nr_vmap_nodes: 0x108, vmap_nodes: 0x110 },
    words: {
      [0x100]: [0x1_0000, 4],
      [0x108]: [2, 4],
      [0x110]: made(0x200),
      [0x210]: made(0x210),
      [0x218]: made(0x210),
      [0x250]: made(0x320),
      [0x258]: made(0x320),
      [0x230]: made(0x230),
      [0x238]: made(0x230),
      [0x270]: made(0x270),
      [0x278]: made(0x270),
      [0x300]: start,
      [0x308]: start + 0x3000n,
      [0x320]: made(0x250),
      [0x328]: made(0x250),
      [0x330]: made(0x400),
      [0x400]: start,
      [0x408]: 0x3000n,
      [0x410]: 2n,
      [0x418]: made(0x500),
      [0x420]: 2n,
      ...words,
    },
  });
  const found = () => [...vmAreas(kernel)].map(({ vm }) => vm);
  if (message) expect(found).toThrow(message);
  else expect(found()).toEqual([made(0x400)]);
});
