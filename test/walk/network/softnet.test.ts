import { expect, test } from 'vitest';
import { NapiReader } from '../../../src/walk/network/softnet.js';
import { SkbLists } from '../../../src/walk/queues/skb-lists.js';
import { type MadeMembers, made, madeKernel } from '../../support/made-kernel.js';

const DEVICE = {
  address: made(0x1000),
  name: 'eth0',
  net: made(0x900),
  privateData: made(0x1800),
  queues: 1,
  firstQueue: 0n,
  parent: 0n,
  driver: undefined,
};
const [NAPI, ONE, TWO, THREE] = [0x2000, 0x3000, 0x3100, 0x3200] as const;
const NAPI_MEMBERS: MadeMembers = { dev: 0, dev_list: 8, poll: 24, skb: 32 };

/** One NAPI instance of one device, with these additional members. */
function skbsOf(
  members: MadeMembers,
  words: Readonly<Record<number, bigint | readonly [value: number, size: 4]>>,
): bigint[] {
  const kernel = madeKernel({
    structs: {
      net_device: { size: 64, members: { napi_list: 16 } },
      napi_struct: { size: 256, members: { ...NAPI_MEMBERS, ...members } },
      gro_list: { size: 24, members: { list: 0 } },
      sk_buff_head: { size: 24, members: { next: 0, prev: 8, qlen: [16, 4] } },
      sk_buff: { size: 64, members: { next: 0, prev: 8, rbnode: 0 } },
    },
    words: {
      [0x1010]: made(NAPI + 8),
      [0x1018]: made(NAPI + 8),
      [NAPI]: made(0x1000),
      [NAPI + 8]: made(0x1010),
      [NAPI + 16]: made(0x1010),
      ...words,
    },
  });
  return [...new NapiReader(kernel, new SkbLists(kernel)).ofDevice(DEVICE)];
}

const OLD = { gro_count: [40, 4], gro_list: 48 } as const;
const CHAIN = { [NAPI + 48]: made(ONE), [ONE]: made(TWO), [TWO]: made(THREE) };

test('reads one GRO list without a head up to 4.18', () => {
  expect(skbsOf(OLD, {})).toEqual([]);
  expect(skbsOf(OLD, { ...CHAIN, [NAPI + 40]: [3, 4], [NAPI + 32]: made(0x4000) })).toEqual(
    [0x4000, ONE, TWO, THREE].map(made),
  );
});

test.each([2, 4])('reports such a list of three skbs as torn if it counts %i', (count) => {
  expect(() => skbsOf(OLD, { ...CHAIN, [NAPI + 40]: [count, 4] })).toThrow(
    `counts ${count} GRO skbs, but ${count < 3 ? 'more' : 3} were found`,
  );
});

test('reports a list that loops as torn', () => {
  const words = { ...CHAIN, [THREE]: made(ONE), [NAPI + 40]: [9, 4] as const };
  expect(() => skbsOf(OLD, words)).toThrow('loops back');
});

/** Two lists of packets that may be merged; the second contains one. */
const HASH = { gro_hash: [64, 48, 2] } as const;
const EMPTY = (at: number) => ({ [at]: made(at), [at + 8]: made(at) });
const LISTED = (at: number, skb: number) => ({
  [at]: made(skb),
  [at + 8]: made(skb),
  [skb]: made(at),
  [skb + 8]: made(at),
});

test('reads GRO lists by hash from 4.19 to 5.3, which have no rx_list', () => {
  const words = { ...EMPTY(NAPI + 64), ...LISTED(NAPI + 88, ONE) };
  expect(skbsOf(HASH, words)).toEqual([made(ONE)]);
});

test('also reads packets in rx_list since 5.4', () => {
  const words = { ...EMPTY(NAPI + 64), ...LISTED(NAPI + 88, ONE), ...LISTED(NAPI + 120, TWO) };
  expect(skbsOf({ ...HASH, rx_list: 120 }, words)).toEqual([made(ONE), made(TWO)]);
});
