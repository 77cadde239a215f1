import { describe, expect, test } from 'vitest';
import { SlabTracks, StackDepot, siteFrames } from '../../../src/walk/allocations/stack-depot.js';
import { type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';
import { DEPOTS, madeDepot } from './depots.js';

const STACK = [0xffff_ffff_8123_4567n, 0xffff_ffff_8176_5432n, 0xffff_ffff_8100_0010n];

/** Layouts in which a member changed its meaning but not its name: only the record shows which one it is. */
const AMBIGUOUS = '6.8.3';
const CLEAR = Object.entries(DEPOTS).filter(([name]) => name !== AMBIGUOUS);

describe.each(CLEAR)('the stack depot of %s', (_, layout) => {
  const memory = madeDepot(layout, STACK);
  const { handle, record, array, member } = memory;
  type Words = Parameters<typeof madeKernel>[0]['words'];
  const of = (words: Words, wanted = handle) =>
    new StackDepot(madeKernel({ ...memory, words: { ...memory.words, ...words } })).of(wanted);

  test('resolves a handle to its addresses and to the pages that page_owner counts', () => {
    const { addresses, pages } = of({});
    expect(addresses).toEqual(STACK);
    expect(pages).toBe(Number.isNaN(member('count.refs.counter')) ? undefined : 5);
  });

  test('reports a pool beyond the last one, or one that does not exist', () => {
    expect(() => of({}, handle + 1)).toThrow(/names pool [23], but the stack depot has 2/);
    expect(() => of({ [array + 8]: 0n })).toThrow(/names pool 1, which does not exist/);
    expect(() => of({ [memory.symbols[layout.used]!]: [0, 4] })).toThrow(/stack depot has/);
  });

  test('reports a record with another handle, or with more functions than fit into a pool', () => {
    expect(() => of({ [record + member('handle.handle')]: [handle + 1, 4] })).toThrow(/leads to a record of handle/);
    for (const count of [257, 0xffff_ffff])
      expect(() => of({ [record + member('size')]: [count, 4] })).toThrow(/functions/);
    // The offset of a different record.
    expect(() => of({}, (handle + (1 << layout.indexBits)) >>> 0)).toThrow(/record of handle/);
  });
});

test('finds pools that are counted from 1 under the old name', () => {
  const memory = madeDepot(DEPOTS[AMBIGUOUS]!, STACK);
  const depot = new StackDepot(madeKernel(memory));
  expect(depot.of(memory.handle).addresses).toEqual(STACK);
  expect(() => depot.of(memory.handle + 2)).toThrow(/stack depot has 2/);
});

test('refuses a depot without pools, or with an unknown handle, by name', () => {
  const memory = madeDepot(DEPOTS['7.2']!, STACK);
  const empty = { ...memory, words: { ...memory.words, [memory.symbols.stack_pools!]: 0n } };
  expect(() => new StackDepot(madeKernel(empty))).toThrow(/stack_pools: the stack depot has no pools/);
  const handle_parts = { size: 4, members: { handle: [0, 4], trie_node: [0, 4] } } as const;
  const unknown = { ...memory, structs: { ...memory.structs, handle_parts } };
  expect(() => new StackDepot(madeKernel(unknown))).toThrow(
    /union handle_parts of this kernel is unsupported; it has handle, trie_node/,
  );
  const { stack_record: _, ...others } = memory.structs;
  expect(() => new StackDepot(madeKernel({ ...memory, structs: others }))).toThrow(/stack_record/);
});

test('names functions by the call, not by the return address after it', () => {
  const kernel = madeKernel({ structs: {}, words: {} });
  const symbolAt = (address: bigint) =>
    address < 0x2000n ? { name: 'first', offset: Number(address) - 0x1000 } : undefined;
  const noteless = { symbol: null, offset: null, module: null, line: null, guess: false };
  expect(siteFrames({ ...kernel, symbolAt }, [0x2000n, 0x3000n])).toEqual([
    { symbol: 'first', offset: 0x1000, module: null, line: null, guess: false },
    noteless,
  ]);
});

describe('slab tracks', () => {
  type Words = Parameters<typeof madeKernel>[0]['words'];

  const STACK = [0xffff_ffff_8111_0000n, 0xffff_ffff_8122_0000n];

  const CALLER = 0xffff_ffff_8133_0000n;

  const AT = { head: 0x80, cache: 0x1000, other: 0x1100, object: 0x2000 } as const;

  const INUSE = 64;

  const kmem_cache: MadeStruct = {
    size: 0x100,
    members: {
      size: [4, 4],
      flags: [8, 4],
      red_left_pad: [0xc, 4],
      inuse: [0x10, 4],
      offset: [0x14, 4],
      align: [0x18, 4],
      list: [0x20, 16],
    },
  };

  const OLD_TRACK: MadeStruct = {
    size: 152,
    members: { addr: 0, addrs: [8, 128, 16], cpu: [136, 4], pid: [140, 4], when: 144 },
  };

  const NEW_TRACK: MadeStruct = {
    size: 32,
    members: { addr: 0, handle: [8, 4], cpu: [12, 4], pid: [16, 4], when: 24 },
  };

  const SINGLE_TRACK: MadeStruct = { size: 24, members: { addr: 0, cpu: [8, 4], pid: [12, 4], when: 16 } };

  const OLD_FLAG = 0x1_0000;

  /** Two caches in the list; the first stores records after its objects. */
  function kernelOf(track: MadeStruct, flag: number, words: Words, offset = 0) {
    const depot = madeDepot(DEPOTS['6.12']!, STACK);
    const enums = flag === OLD_FLAG ? {} : { _slab_flag_bits: { _SLAB_STORE_USER: BigInt(Math.log2(flag)) } };
    const kernel = madeKernel({
      structs: { ...depot.structs, kmem_cache, track },
      symbols: { ...depot.symbols, slab_caches: AT.head },
      enums,
      words: {
        ...depot.words,
        [AT.head]: made(AT.cache + 0x20),
        [AT.head + 8]: made(AT.other + 0x20),
        [AT.cache + 4]: [INUSE + 2 * track.size, 4],
        [AT.cache + 8]: [flag + 1, 4],
        [AT.cache + 0x10]: [INUSE, 4],
        [AT.cache + 0x14]: [offset, 4],
        [AT.cache + 0x20]: made(AT.other + 0x20),
        [AT.cache + 0x28]: made(AT.head),
        [AT.other + 4]: [INUSE, 4],
        [AT.other + 8]: [1, 4],
        [AT.other + 0x10]: [INUSE, 4],
        [AT.other + 0x14]: [8, 4],
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

  /** struct track up to 5.17, since then with handles of the stack depot, and without a stack. */
  const GENERATIONS = [
    [
      '5.10',
      OLD_TRACK,
      OLD_FLAG,
      (at: number): Words => ({ [at + 8]: STACK[0]!, [at + 16]: STACK[1]!, [at + 140]: [42, 4], [at + 144]: 9n }),
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

    test('finds the record after the object, or after a free pointer outside it', () => {
      const expected = { addresses: stack, pid: 42, when: 9n };
      expect(kernelOf(track, flag, record(AT.object + INUSE)).of()).toEqual(expected);
      const behind = kernelOf(track, flag, record(AT.object + INUSE + 8), INUSE);
      expect(behind.of()).toEqual(expected);
    });

    test('distinguishes caches with records, and returns none for an object without a record', () => {
      const { tracks, of } = kernelOf(track, flag, {});
      expect(tracks.caches()).toEqual([made(AT.cache)]);
      expect([tracks.isOn(made(AT.cache)), tracks.isOn(made(AT.other))]).toEqual([true, false]);
      expect(of()).toBeUndefined();
    });

    test.each([
      ['off, but slots have room for them', AT.cache + 8, 1],
      ['on, but slots have no room for them', AT.other + 8, flag + 1],
    ])('reports records that are %s', (_why, at, flags) => {
      expect(() => kernelOf(track, flag, { [at]: [flags, 4] }).tracks.caches()).toThrow(/unlike its flags/);
    });

    test.each([
      ['alignment', { [AT.other + 4]: [512, 4], [AT.other + 0x18]: [512, 4] }],
      ['red zones', { [AT.other + 4]: [INUSE + 24, 4], [AT.other + 0xc]: [16, 4] }],
    ] as const)('takes no %s for room', (_why, words) => {
      expect(kernelOf(track, flag, words).tracks.caches()).toEqual([made(AT.cache)]);
    });
  });

  test('reports a handle that is not in the stack depot', () => {
    const at = AT.object + INUSE;
    const { of } = kernelOf(NEW_TRACK, 2 ** 4, { [at]: CALLER, [at + 8]: [0x1_2345, 4] });
    expect(of).toThrow(/stack handle 0x12345/);
  });
});
