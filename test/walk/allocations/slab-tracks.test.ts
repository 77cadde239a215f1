import { describe, expect, test } from 'vitest';
import { SlabTracks } from '../../../src/walk/allocations/slab-tracks.js';
import { StackDepot } from '../../../src/walk/allocations/stack-depot.js';
import { type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';
import { DEPOTS, madeDepot } from './depots.js';

type Words = Parameters<typeof madeKernel>[0]['words'];

const STACK = [0xffff_ffff_8111_0000n, 0xffff_ffff_8122_0000n];
const CALLER = 0xffff_ffff_8133_0000n;
const AT = { head: 0x80, cache: 0x1000, other: 0x1100, object: 0x2000 } as const;
const INUSE = 64;

const kmem_cache: MadeStruct = {
  size: 0x100,
  members: { flags: [8, 4], inuse: [0x10, 4], offset: [0x14, 4], list: [0x20, 16] },
};
const OLD_TRACK: MadeStruct = {
  size: 152,
  members: { addr: 0, addrs: [8, 128, 16], cpu: [136, 4], pid: [140, 4], when: 144 },
};
const NEW_TRACK: MadeStruct = {
  size: 32,
  members: { addr: 0, handle: [8, 4], cpu: [12, 4], pid: [16, 4], when: 24 },
};
const SINGLE_TRACK: MadeStruct = {
  size: 24,
  members: { addr: 0, cpu: [8, 4], pid: [12, 4], when: 16 },
};
const OLD_FLAG = 0x1_0000;

/** Two caches in the list, the first with records behind its objects. */
function kernelOf(track: MadeStruct, flag: number, words: Words, offset = 0) {
  const depot = madeDepot(DEPOTS['6.12']!, STACK);
  const enums =
    flag === OLD_FLAG ? {} : { _slab_flag_bits: { _SLAB_STORE_USER: BigInt(Math.log2(flag)) } };
  const kernel = madeKernel({
    structs: { ...depot.structs, kmem_cache, track },
    symbols: { ...depot.symbols, slab_caches: AT.head },
    enums,
    words: {
      ...depot.words,
      [AT.head]: made(AT.cache + 0x20),
      [AT.head + 8]: made(AT.other + 0x20),
      [AT.cache + 8]: [flag + 1, 4],
      [AT.cache + 0x10]: [INUSE, 4],
      [AT.cache + 0x14]: [offset, 4],
      [AT.cache + 0x20]: made(AT.other + 0x20),
      [AT.cache + 0x28]: made(AT.head),
      [AT.other + 8]: [1, 4],
      [AT.other + 0x20]: made(AT.head),
      [AT.other + 0x28]: made(AT.cache + 0x20),
      ...words,
    },
  });
  const tracks = new SlabTracks(kernel);
  const of = () => tracks.of(made(AT.cache), made(AT.object), () => new StackDepot(kernel));
  return { tracks, of };
}

const handle = madeDepot(DEPOTS['6.12']!, STACK).handle;

/** struct track up to 5.17, and with addresses in the depot since; and without a stack. */
const GENERATIONS = [
  [
    '5.10',
    OLD_TRACK,
    OLD_FLAG,
    (at: number): Words => ({
      [at + 8]: STACK[0]!,
      [at + 16]: STACK[1]!,
      [at + 140]: [42, 4],
      [at + 144]: 9n,
    }),
    STACK,
  ],
  [
    '6.1',
    NEW_TRACK,
    OLD_FLAG,
    (at: number): Words => ({ [at + 8]: [handle, 4], [at + 16]: [42, 4], [at + 24]: 9n }),
    STACK,
  ],
  [
    '6.12',
    NEW_TRACK,
    2 ** 4,
    (at: number): Words => ({ [at + 8]: [handle, 4], [at + 16]: [42, 4], [at + 24]: 9n }),
    STACK,
  ],
  [
    'a kernel without stack traces',
    SINGLE_TRACK,
    OLD_FLAG,
    (at: number): Words => ({ [at + 12]: [42, 4], [at + 16]: 9n }),
    [CALLER],
  ],
] as const;

describe.each(GENERATIONS)('struct track of %s', (_, track, flag, more, stack) => {
  const record = (at: number): Words => ({ [at]: CALLER, ...more(at) });

  test('the record is behind the object, or behind the free pointer outside it', () => {
    const expected = { addresses: stack, pid: 42, when: 9n };
    expect(kernelOf(track, flag, record(AT.object + INUSE)).of()).toEqual(expected);
    const behind = kernelOf(track, flag, record(AT.object + INUSE + 8), INUSE);
    expect(behind.of()).toEqual(expected);
  });

  test('caches with records are told from others, and an object without a record has none', () => {
    const { tracks, of } = kernelOf(track, flag, {});
    expect(tracks.caches()).toEqual([made(AT.cache)]);
    expect([tracks.isOn(made(AT.cache)), tracks.isOn(made(AT.other))]).toEqual([true, false]);
    expect(of()).toBeUndefined();
  });
});

test('a handle that the depot does not know is reported', () => {
  const at = AT.object + INUSE;
  const { of } = kernelOf(NEW_TRACK, 2 ** 4, { [at]: CALLER, [at + 8]: [0x1_2345, 4] });
  expect(of).toThrow(/stack handle 0x12345/);
});
