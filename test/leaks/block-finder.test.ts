import { describe, expect, test } from 'vitest';
import type { CensusEntry } from '../../src/account/owners.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { Pointer } from '../../src/kernel/pointer.js';
import { BlockFinder } from '../../src/leaks/survivors/by-kernel.js';
import { keeperOf } from '../../src/leaks/survivors/lookup.js';
import type { CategoryName } from '../../src/records/categories.js';
import type { VmArea } from '../../src/walk/memory/vm-areas.js';
import { PageReader } from '../../src/walk/pages/pages.js';
import { type Damage, kernelWith, liveKernel, together } from '../support/damaged-kernel.js';
import { FIXTURES } from '../support/fixtures.js';
import { littleEndian } from '../support/little-endian.js';
import { fixtureKernel, fullestQueue } from '../support/opened-kernel.js';
import { survivor } from './made-recording.js';

/** Passes the holders of a queue through unchanged. */
const ENTRY = { holders: [] } as unknown as CensusEntry;
const AREA = { address: 0xffffc90000005000n } as VmArea;

/** Identity and location: the address of an object, or the number of a frame. */
interface Known {
  readonly category?: CategoryName | undefined;
  readonly sockets?: readonly bigint[];
  /** Frames of packet data, by their first frame. */
  readonly queued?: readonly number[];
  readonly caller?: string | null;
  readonly isStack?: boolean;
}

function finderOf(kernel: Kernel, known: Known): BlockFinder {
  return new BlockFinder(
    kernel,
    {
      ledger: { categoryOf: () => known.category },
      queues: { entryOf: (frame) => (known.queued?.includes(frame) ? ENTRY : undefined) },
      areas: { all: () => [AREA].values(), isStack: () => known.isStack ?? false, caller: () => known.caller ?? null },
    } as ConstructorParameters<typeof BlockFinder>[1],
    new Map((known.sockets ?? []).map((object) => [object, ENTRY])),
  );
}

describe.each(FIXTURES)('blocks of the fixture of %s', (name) => {
  const dump = fixtureKernel(name);
  const { kernel, addressOf, offset, read, set, lose, damagedBy } = dump;

  const { full, skbs } = fullestQueue(dump);
  const [skb = 0n] = skbs;
  const frameOf = (address: bigint) => kernel.pages.frameOf(new Pointer().set(address));
  const bytes = kernel.struct('sk_buff')!.size;
  const object = (place: bigint, more = {}) => survivor('s', { place, bytes, order: null, ...more });
  const slab = { category: 'slab-unreclaimable' } as const;

  test('finds as many queued skbs as drgn', () => {
    expect(skbs).toHaveLength(full.queues.receive!.skbs);
  });

  test('finds each skb of a queue in use, in its cache, and held by the socket if that is known', () => {
    const plain = finderOf(kernel, slab);
    for (const place of skbs)
      expect(plain.of('slab', object(place))).toMatchObject({ place: 'slab', category: slab.category });
    // A fixture has no names of caches: their owner is unknown, which is not unreferenced.
    expect(keeperOf(plain.of('slab', object(skb)))).toBe('unknown');
    const placeOfQueued = finderOf(kernel, { ...slab, sockets: [skb] }).of('slab', object(skb));
    expect(placeOfQueued).toMatchObject({ place: 'socket', socket: ENTRY });
  });

  test('reports an object that exceeds or crosses its slot as freed and reused', () => {
    const finder = finderOf(kernel, slab);
    expect(finder.of('slab', object(skb, { bytes: 65_536 })).place).toBe('reused');
    expect(finder.of('slab', object(skb + 8n)).place).toBe('reused');
  });

  test('reports an object in the freelist of its slab as free, even if an owner is known', () => {
    // The fixture was made by commands that read no freelists of this cache: the object is not called free.
    const isKnown = name !== 'newest';
    const damaged = isKnown ? damagedBy(freed()) : kernel;
    const finder = finderOf(damaged, { ...slab, sockets: [skb] });
    expect(finder.of('slab', object(skb)).place).toBe(isKnown ? 'free' : 'socket');
    expect(finder.of('slab', object(skbs[1]!)).place).toBe('slab');
  });

  test('counts objects as held, and as maybe free, if the freelist is unreadable', () => {
    const unknown = (place: bigint) => {
      const finder = finderOf(kernel, slab);
      finder.of('slab', object(place));
      return finder.maybeFree;
    };
    // The fixture has none of the freelists of the newest kernel, and most of the others.
    const known = skbs.find((place) => unknown(place) === 0);
    expect(known === undefined).toBe(name === 'newest');
    const all = finderOf(kernel, slab);
    for (const place of skbs) all.of('slab', object(place));
    expect(all.maybeFree).toBe(skbs.filter((place) => unknown(place) === 1).length);
    const objectAddress = known ?? skb;
    const block = new PageReader(kernel).block(kernel.pages.pageOf(objectAddress)!);
    if (block.kind !== 'slab') throw new Error('it lies in no slab');
    const denied = finderOf(damagedBy(counting(objectAddress, 1), noLists(block.cache.address)), slab);
    expect(denied.of('slab', object(objectAddress))).toMatchObject({ place: 'slab', maybeFree: true });
    expect(denied.maybeFree).toBe(1);
    // Pages that are free or reused need no such lookup.
    denied.of('slab', object(objectAddress + 8n));
    expect(denied.maybeFree).toBe(1);
  });

  test('finds no free object in a slab without free slots, whatever its freelists are', () => {
    const full = damagedBy(counting(skb, 0), first(skb, 0n), noLists(cacheOf(skb)));
    const finder = finderOf(full, slab);
    finder.of('slab', object(skb));
    // Sheaves of the newest kernel contain free objects that their slab counts as in use.
    expect(finder.maybeFree).toBe(name === 'newest' ? 1 : 0);
  });

  test('does not decide by a freelist that contradicts the counter of its slab', () => {
    if (name === 'newest') return;
    const finder = finderOf(damagedBy(freed(), counting(skb, 3)), slab);
    expect(finder.of('slab', object(skb)).maybeFree).toBe(true);
  });

  test('reads a freelist again that changes during the read', () => {
    if (name === 'newest') return;
    const page = kernel.pages.pageOfFrame(blockOf(skb).frame);
    const at = addressOf(page, `${slabType}.freelist`);
    let reads = 0;
    // Not the address of any object.
    const moved = damagedBy(set(at, 8, 0x10n));
    const changing = (address: bigint, length: number) => {
      const isFirst = address <= at && at + 8n <= address + BigInt(length) && ++reads <= 2;
      return (isFirst ? moved : kernel).read(address, length);
    };
    const finder = finderOf(liveKernel(kernelWith(kernel, { read: changing })), slab);
    const known = finderOf(kernel, slab);
    known.of('slab', object(skb));
    finder.of('slab', object(skb));
    expect(reads).toBeGreaterThan(2);
    expect(finder.maybeFree).toBe(known.maybeFree);
  });

  const slabType = kernel.struct('slab')?.member('freelist') ? 'slab' : 'page';

  function blockOf(address: bigint) {
    const block = new PageReader(kernel).block(kernel.pages.pageOf(address)!);
    if (block.kind !== 'slab') throw new Error('it lies in no slab');
    return block;
  }

  /** A cache whose freelists cannot be decoded. */
  const noLists = (cache: bigint): Damage =>
    together(lose(cache, 'kmem_cache.offset', 'unmapped'), lose(cache, 'kmem_cache.random', 'unmapped'));

  function cacheOf(address: bigint): bigint {
    return blockOf(address).cache.address;
  }

  /** Address of the first free object in the slab of an object. */
  function first(address: bigint, object: bigint): Damage {
    const page = kernel.pages.pageOfFrame(blockOf(address).frame);
    return set(page, `${slabType}.freelist`, object);
  }

  /** A slab that no CPU owns, with this many free objects. */
  function counting(address: bigint, unused: number): Damage {
    const page = kernel.pages.pageOfFrame(blockOf(address).frame);
    // 16 bits of objects in use, 15 bits of objects, and one bit for a slab that a CPU owns.
    const inUse = offset(`${slabType}.inuse`);
    const objects = read(page + inUse + 2n, 2) & 0x7fffn;
    return together(set(page + inUse, 2, objects - BigInt(unused)), set(page + inUse + 2n, 2, objects));
  }

  /** The freelist of its slab contains only the skb. */
  function freed(): Damage {
    const cache = cacheOf(skb);
    // freelist_ptr of mm/slub.c: NULL, encoded with the random number of the cache and its address.
    const at = skb + read(cache, 'kmem_cache.offset');
    const swapped = Buffer.from(littleEndian(at, 8)).readBigUInt64BE();
    const end = read(cache, 'kmem_cache.random') ^ swapped;
    return together(counting(skb, 1), first(skb, skb), set(at, 8, end));
  }

  test('reports an object in a free page as free', () => {
    expect(finderOf(kernel, { category: 'free-buddy' }).of('slab', object(skb)).place).toBe('free');
  });

  test('reports missing or unreadable memory as unknown, not as unreferenced', () => {
    const nowhere = finderOf(kernel, { category: undefined });
    expect(nowhere.of('slab', object(skb))).toMatchObject({ place: 'unknown', why: 'no-such-frame' });
    expect(nowhere.of('page', survivor('s', { place: 5n }))).toMatchObject({ place: 'unknown', why: 'no-such-frame' });
    const frame = frameOf(skb);
    const page = kernel.pages.pageOfFrame(frame);
    const denied = damagedBy(lose(page, 64));
    const of = finderOf(denied, slab).of('slab', object(skb));
    expect(of).toMatchObject({ place: 'unknown', why: 'unreadable' });
    const dark = finderOf(kernel, { category: 'unread' });
    expect(dark.of('page', survivor('s', { place: BigInt(frame) })).place).not.toBe('unreferenced');
  });

  test('assigns pages to their slab, and reports a block that begins within it as reused', () => {
    const block = new PageReader(kernel).block(kernel.pages.pageOf(skb)!);
    const of = (frame: number, order: number) =>
      finderOf(kernel, slab).of('page', survivor('s', { place: BigInt(frame), order }));
    expect(of(block.frame, 5)).toMatchObject({ place: 'slab', category: slab.category, cache: null });
    const second = frameOf(skbs.find((one) => frameOf(one) !== block.frame) ?? skb);
    const other = new PageReader(kernel).block(kernel.pages.pageOfFrame(second));
    if (other.frame !== second) expect(of(second, 0).place).toBe('reused');
  });

  test('reports areas with their owner, as a stack, or as freed', () => {
    const area = survivor('s', { place: AREA.address, order: null });
    const of = (known: Known, one = area) => finderOf(kernel, known).of('vmalloc', one).place;
    expect(of({ caller: 'leak_area' })).toBe('vmalloc');
    expect(of({ isStack: true })).toBe('kernel-stack');
    expect(of({}, { ...area, place: area.place + 4096n })).toBe('free');
  });
});

test.each([
  ['task_struct', 'process'],
  ['skbuff_head_cache', 'queued'],
  ['request_sock_TCP', 'queued'],
  // Their timer frees them after a minute, possibly after the end of the recording.
  ['tw_sock_TCP', 'kernel'],
  ['tw_sock_TCPv6', 'kernel'],
  ['kmalloc-192', 'unreferenced'],
])('assigns objects of %s to: %s', (cache, keeper) => {
  const found = { place: 'slab', category: 'slab-unreclaimable', cache, socket: null, why: null };
  expect(keeperOf(found as Parameters<typeof keeperOf>[0])).toBe(keeper);
});
