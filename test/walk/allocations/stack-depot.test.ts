import { describe, expect, test } from 'vitest';
import { StackDepot, siteFrames } from '../../../src/walk/allocations/stack-depot.js';
import { madeKernel } from '../../support/made-kernel.js';
import { DEPOTS, madeDepot } from './depots.js';

const STACK = [0xffff_ffff_8123_4567n, 0xffff_ffff_8176_5432n, 0xffff_ffff_8100_0010n];

/** Whose member has another meaning under the same name: what it means is told by the record alone. */
const AMBIGUOUS = '6.8.3';
const CLEAR = Object.entries(DEPOTS).filter(([name]) => name !== AMBIGUOUS);

describe.each(CLEAR)('the stack depot of %s', (_, layout) => {
  const memory = madeDepot(layout, STACK);
  const { handle, record, array, member } = memory;
  type Words = Parameters<typeof madeKernel>[0]['words'];
  const of = (words: Words, wanted = handle) =>
    new StackDepot(madeKernel({ ...memory, words: { ...memory.words, ...words } })).of(wanted);

  test('a handle leads to its addresses, and to the pages that page_owner counts', () => {
    const { addresses, pages } = of({});
    expect(addresses).toEqual(STACK);
    expect(pages).toBe(Number.isNaN(member('count.refs.counter')) ? undefined : 5);
  });

  test('a pool beyond the last one, or one that does not exist, is reported', () => {
    expect(() => of({}, handle + 1)).toThrow(/names pool [23], but the stack depot has 2/);
    expect(() => of({ [array + 8]: 0n })).toThrow(/names pool 1, which does not exist/);
    expect(() => of({ [memory.symbols[layout.used]!]: [0, 4] })).toThrow(/stack depot has/);
  });

  test('a record with another handle, or with more functions than a pool has room for, is reported', () => {
    expect(() => of({ [record + member('handle.handle')]: [handle + 1, 4] })).toThrow(
      /leads to a record of handle/,
    );
    for (const count of [257, 0xffff_ffff])
      expect(() => of({ [record + member('size')]: [count, 4] })).toThrow(/functions/);
    // The offset of another record.
    expect(() => of({}, (handle + (1 << layout.indexBits)) >>> 0)).toThrow(/record of handle/);
  });
});

test('pools that are counted from 1 under the old name are found', () => {
  const memory = madeDepot(DEPOTS[AMBIGUOUS]!, STACK);
  const depot = new StackDepot(madeKernel(memory));
  expect(depot.of(memory.handle).addresses).toEqual(STACK);
  expect(() => depot.of(memory.handle + 2)).toThrow(/stack depot has 2/);
});

test('without pools, and with an unknown handle, the depot is refused by name', () => {
  const memory = madeDepot(DEPOTS['7.2']!, STACK);
  const empty = { ...memory, words: { ...memory.words, [memory.symbols.stack_pools!]: 0n } };
  expect(() => new StackDepot(madeKernel(empty))).toThrow(
    /stack_pools: the stack depot has no pools/,
  );
  const handle_parts = { size: 4, members: { handle: [0, 4], trie_node: [0, 4] } } as const;
  const unknown = { ...memory, structs: { ...memory.structs, handle_parts } };
  expect(() => new StackDepot(madeKernel(unknown))).toThrow(
    /union handle_parts of this kernel is unsupported; it has handle, trie_node/,
  );
  const { stack_record: _, ...others } = memory.structs;
  expect(() => new StackDepot(madeKernel({ ...memory, structs: others }))).toThrow(/stack_record/);
});

test('functions are named by the call, not by the return address behind it', () => {
  const kernel = madeKernel({ structs: {}, words: {} });
  const symbolAt = (address: bigint) =>
    address < 0x2000n ? { name: 'first', offset: Number(address) - 0x1000 } : undefined;
  const noteless = { symbol: null, offset: null, module: null, line: null };
  expect(siteFrames({ ...kernel, symbolAt }, [0x2000n, 0x3000n])).toEqual([
    { symbol: 'first', offset: 0x1000, module: null, line: null },
    noteless,
  ]);
});
