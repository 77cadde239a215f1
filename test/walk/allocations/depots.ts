import { type MadeStruct, made } from '../../support/made-kernel.js';

/** The stack depot of a kernel generation, as its headers declare it (lib/stackdepot.c, 4 KiB pages). */
export interface DepotLayout {
  readonly structs: Readonly<Record<string, MadeStruct>>;
  /** Symbols of the variables, by their content. */
  readonly pools: 'stack_slabs' | 'stack_pools';
  readonly used: 'depot_index' | 'pool_index' | 'pools_num';
  /** Whether a pointer leads to the array of pools. */
  readonly pointer?: true;
  /** Number of the first pool in a handle. */
  readonly first: 0 | 1;
  readonly valid?: true;
  readonly indexBits: number;
}

const parts = (index: string, indexBits: number, valid: 0 | 1, extra: 0 | 5): MadeStruct => {
  const behind = indexBits + 10 + valid;
  return {
    size: 4,
    members: {
      handle: [0, 4],
      [index]: { bits: [0, indexBits] },
      offset: { bits: [indexBits, 10] },
      ...(valid ? { valid: { bits: [indexBits + 10, 1] } } : {}),
      ...(extra ? { extra: { bits: [behind, extra] } } : {}),
    },
  };
};

const old: MadeStruct = {
  size: 24,
  members: { next: 0, hash: [8, 4], size: [12, 4], 'handle.handle': [16, 4], entries: [24, 0, 0] },
};
const counted: MadeStruct = {
  size: 32 + 64 * 8,
  members: {
    hash_list: [0, 16],
    hash: [16, 4],
    size: [20, 4],
    'handle.handle': [24, 4],
    'count.refs.counter': [28, 4],
    entries: [32, 512, 64],
  },
};

export const DEPOTS: Readonly<Record<string, DepotLayout>> = {
  '5.10': {
    structs: { handle_parts: parts('slabindex', 21, 1, 0), stack_record: old },
    pools: 'stack_slabs',
    used: 'depot_index',
    first: 0,
    valid: true,
    indexBits: 21,
  },
  '6.1': {
    structs: { handle_parts: parts('slabindex', 16, 1, 5), stack_record: old },
    pools: 'stack_slabs',
    used: 'depot_index',
    first: 0,
    valid: true,
    indexBits: 16,
  },
  '6.6': {
    structs: { handle_parts: parts('pool_index', 16, 1, 5), stack_record: old },
    pools: 'stack_pools',
    used: 'pool_index',
    first: 0,
    valid: true,
    indexBits: 16,
  },
  '6.8': {
    structs: { handle_parts: parts('pool_index', 17, 0, 5), stack_record: counted },
    pools: 'stack_pools',
    used: 'pools_num',
    first: 0,
    indexBits: 17,
  },
  '6.8.3': {
    structs: { handle_parts: parts('pool_index', 17, 0, 5), stack_record: counted },
    pools: 'stack_pools',
    used: 'pools_num',
    first: 1,
    indexBits: 17,
  },
  '6.12': {
    structs: { handle_parts: parts('pool_index_plus_1', 17, 0, 5), stack_record: counted },
    pools: 'stack_pools',
    used: 'pools_num',
    first: 1,
    indexBits: 17,
  },
  '7.2': {
    structs: { handle_parts: parts('pool_index_plus_1', 17, 0, 5), stack_record: counted },
    pools: 'stack_pools',
    used: 'pools_num',
    pointer: true,
    first: 1,
    indexBits: 17,
  },
};

/** Addresses in the synthetic memory. */
const AT = { pools: 0x100, used: 0x180, most: 0x188, array: 0x200, pool: 0x4000 } as const;
/** Offset of the record in the second pool. */
const RECORD = 0x140;

type Words = Record<number, bigint | readonly [number, 1 | 2 | 4]>;

/** Synthetic memory with two pools, the second of which contains a stack with these addresses. */
export function madeDepot(layout: DepotLayout, stack: readonly bigint[], pages = 5) {
  const { structs, pools, used, pointer, first, valid, indexBits } = layout;
  const handle = (1 + first) | ((RECORD / 16) << indexBits) | (valid ? 1 << (indexBits + 10) : 0);
  const array = pointer ? AT.array : AT.pools;
  const record = AT.pool + 0x4000 + RECORD;
  const member = (name: string): number => {
    const found = structs.stack_record?.members[name];
    return Array.isArray(found) ? found[0] : Number.NaN;
  };
  const words: Words = {
    ...(pointer ? { [AT.pools]: made(AT.array) } : {}),
    [AT.used]: [used === 'pools_num' ? 2 : 1, 4],
    [array]: made(AT.pool),
    [array + 8]: made(AT.pool + 0x4000),
    [record + member('size')]: [stack.length, 4],
    [record + member('handle.handle')]: [handle >>> 0, 4],
    ...Object.fromEntries(stack.map((at, index) => [record + member('entries') + 8 * index, at])),
  };
  const count = record + member('count.refs.counter');
  if (!Number.isNaN(count)) words[count] = [pages + 1, 4];
  const symbols: Readonly<Record<string, number>> = {
    [pools]: AT.pools,
    [used]: AT.used,
    ...(pointer ? { stack_max_pools: AT.most } : {}),
  };
  return { structs, symbols, words, handle: handle >>> 0, record, array, member };
}
