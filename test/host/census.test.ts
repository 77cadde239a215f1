import { describe, expect, test } from 'vitest';
import { takeCensus, theoreticalWorst } from '../../src/host/proc/census.js';
import { FakeHost } from './fake-host.js';

const [LRU, SLAB, BUDDY, HEAD, TAIL, NOPAGE] = [5, 7, 10, 15, 16, 20].map((bit) => 2 ** bit) as [
  number,
  number,
  number,
  number,
  number,
  number,
];
const RESERVED = 2 ** 32;

function hostWith(words: number[], buddies = 'Node 0, zone   Normal      0      0      0\n') {
  const bytes = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => {
    bytes.writeUInt32LE(word % 2 ** 32, index * 8);
    bytes.writeUInt32LE(Math.floor(word / 2 ** 32), index * 8 + 4);
  });
  const host = new FakeHost();
  host.files.set('/proc/kpageflags', bytes.toString('latin1'));
  host.files.set('/proc/buddyinfo', buddies);
  return host;
}
const compound = (order: number, flags = 0) => [HEAD + flags, ...Array<number>(2 ** order - 1).fill(TAIL + flags)];
const orders = (host: FakeHost) => Object.fromEntries(takeCensus(host, 4096).orders);

describe('the census', () => {
  test('counts compound allocations by order, and single pages', () => {
    const host = hostWith([...compound(3), ...compound(3), 0, ...compound(2), 0, 0]);
    expect(orders(host)).toEqual({ 0: 3, 2: 1, 3: 2 });
    expect(takeCensus(host, 4096).bytes).toBe((16 + 4 + 3) * 4096);
  });

  test('leaves out slab, file and reserved pages, and frames without memory', () => {
    const host = hostWith([...compound(3, SLAB), ...compound(2, LRU), LRU, RESERVED, NOPAGE, 0]);
    expect(orders(host)).toEqual({ 0: 1 });
  });

  test('subtracts the pages of buddyinfo, since free pages look like order-0 allocations', () => {
    // A free block of four pages and one of one: only their first pages have the BUDDY flag.
    const host = hostWith([BUDDY, 0, 0, 0, BUDDY, 0], 'Node 0, zone   Normal      1      0      1\n');
    expect(orders(host)).toEqual({ 0: 1 });
  });

  test('subtracts no page twice if all pages of a free block are marked', () => {
    const host = hostWith([BUDDY, BUDDY, BUDDY, BUDDY, BUDDY, 0], 'Node 0, zone   Normal      1      0      1\n');
    expect(orders(host)).toEqual({ 0: 1 });
  });

  test('ignores a line with too many orders', () => {
    const host = hostWith([0], `Node 0, zone   Normal${' 0'.repeat(1100)}\n`);
    expect(takeCensus(host, 4096)).toMatchObject({ bytes: 4096, orders: new Map([[0, 1]]) });
  });

  test('reports permission denied', () => {
    const host = new FakeHost();
    host.files.set('/proc/buddyinfo', '');
    host.files.set('/proc/kpageflags', 'denied');
    expect(() => takeCensus(host, 4096)).toThrow('permission denied');
  });
});

test('computes the theoretical worst case as 18 pages of 32 KiB per skb', () => {
  const host = new FakeHost();
  expect(theoreticalWorst(host, 17)).toBeNull();
  host.files.set(
    '/proc/slabinfo',
    'slabinfo - version: 2.1\nskbuff_fclone_cache    100    112    512 8 1 : tunables 0 0 0\nskbuff_head_cache  14933  15033    256 16 1 : tunables 0 0 0\n',
  );
  expect(theoreticalWorst(host, 17)).toBe(15_033 * 18 * 32_768);
});
