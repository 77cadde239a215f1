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
