import { afterAll, describe, expect, test } from 'vitest';
import type { CategoryName } from '../../src/account/memory/categories.js';
import type { CensusEntry } from '../../src/account/owners.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import { Pointer } from '../../src/kernel/pointer.js';
import { BlockFinder } from '../../src/leaks/survivors/by-kernel.js';
import { keeperOf } from '../../src/leaks/survivors/lookup.js';
import type { VmArea } from '../../src/walk/memory/vm-areas.js';
import { PageReader } from '../../src/walk/pages/pages.js';
import { type Damage, damagedKernel } from '../support/damaged-kernel.js';
import { fixtureKernel } from '../support/fixture-kernel.js';
import { FIXTURES } from '../support/fixtures.js';
import { kernelReading } from '../support/kernel-reading.js';
import { littleEndian } from '../support/little-endian.js';
import { survivor } from './made-recording.js';

/** Whoever holds what is in a queue: it is handed on as it is. */
const ENTRY = { holders: [] } as unknown as CensusEntry;
const AREA = { address: 0xffffc90000005000n } as VmArea;

/** Whether and where; an object's address, a frame's number. */
interface Known {
  readonly category?: CategoryName | undefined;
  readonly sockets?: readonly bigint[];
  /** Frames of packets' data, by their first. */
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
      areas: {
        all: () => [AREA].values(),
        isStack: () => known.isStack ?? false,
        caller: () => known.caller ?? null,
      },
    } as ConstructorParameters<typeof BlockFinder>[1],
    new Map((known.sockets ?? []).map((object) => [object, ENTRY])),
  );
}

describe.each(FIXTURES)('blocks of the fixture of %s', (name) => {
  const { kernel, truth, offset, pointer, with: change } = fixtureKernel(name);
  afterAll(() => kernel.close());

  const full = truth.sockets
    .filter(({ queues }) => queues.receive)
    .toSorted((one, other) => other.queues.receive!.skbs - one.queues.receive!.skbs)[0]!;
  const queue = BigInt(full.sock!) + offset('sock', 'sk_receive_queue');
  const skbs: bigint[] = [];
  for (let at = pointer(queue); at !== queue; at = pointer(at)) skbs.push(at);
  const [skb = 0n] = skbs;
  const frameOf = (address: bigint) => kernel.pages.frameOf(new Pointer().set(address));
  const bytes = kernel.struct('sk_buff')!.size;
  const object = (place: bigint, more = {}) =>
    survivor('s', { place, bytes, order: null, ...more });
  const slab = { category: 'slab-unreclaimable' } as const;

  test('what is queued is what drgn counts', () => {
    expect(skbs).toHaveLength(full.queues.receive!.skbs);
  });

  test('each skb of a queue is in use, in its cache, and in the socket’s hands where that is known', () => {
    const plain = finderOf(kernel, slab);
    for (const place of skbs)
      expect(plain.of('slab', object(place))).toMatchObject({
        place: 'slab',
        category: slab.category,
      });
    // A fixture has no names of caches: whose it is is not known, and so is not nobody's.
    expect(keeperOf(plain.of('slab', object(skb)))).toBe('unknown');
    const told = finderOf(kernel, { ...slab, sockets: [skb] }).of('slab', object(skb));
    expect(told).toMatchObject({ place: 'socket', socket: ENTRY });
  });

  test('an object that is larger than its slot, or lies amid one, was freed and taken again', () => {
    const finder = finderOf(kernel, slab);
    expect(finder.of('slab', object(skb, { bytes: 65_536 })).place).toBe('reused');
    expect(finder.of('slab', object(skb + 8n)).place).toBe('reused');
  });

  test('an object in the free list of its slab is free, whoever seems to have it', () => {
    // Of its cache's lists no question that the fixture was cut by had read: that is not called free.
    const isKnown = name !== 'newest';
    const damaged = isKnown ? damagedKernel(kernel, freed()) : kernel;
    const finder = finderOf(damaged, { ...slab, sockets: [skb] });
    expect(finder.of('slab', object(skb)).place).toBe(isKnown ? 'free' : 'socket');
    expect(finder.of('slab', object(skbs[1]!)).place).toBe('slab');
  });

  test('where the list of free objects cannot be read an object counts as held, and that is counted', () => {
    const unknown = (place: bigint) => {
      const finder = finderOf(kernel, slab);
      finder.of('slab', object(place));
      return finder.maybeFree;
    };
    // Of newest's lists the fixture has none, of others most.
    const known = skbs.find((place) => unknown(place) === 0);
    expect(known === undefined).toBe(name === 'newest');
    const all = finderOf(kernel, slab);
    for (const place of skbs) all.of('slab', object(place));
    expect(all.maybeFree).toBe(skbs.filter((place) => unknown(place) === 1).length);
    const asked = known ?? skb;
    const block = new PageReader(kernel).block(kernel.pages.pageOf(asked)!);
    if (block.kind !== 'slab') throw new Error('it lies in no slab');
    const lists = ['offset', 'random'].map((member) => ({
      address: block.cache.address + offset('kmem_cache', member),
      length: 4,
      code: 'unmapped' as const,
    }));
    const patches = [...counting(asked, 1).patches];
    const denied = finderOf(damagedKernel(kernel, { patches, denials: lists }), slab);
    expect(denied.of('slab', object(asked))).toMatchObject({ place: 'slab', maybeFree: true });
    expect(denied.maybeFree).toBe(1);
    // What is on a free page, or was taken again, is not asked about.
    denied.of('slab', object(asked + 8n));
    expect(denied.maybeFree).toBe(1);
  });

  test('a slab without free slots has no free object, whatever the lists are', () => {
    const full = damagedKernel(kernel, {
      patches: [...counting(skb, 0).patches, ...first(skb, 0n).patches],
      denials: ['offset', 'random'].map((member) => ({
        address: cacheOf(skb) + offset('kmem_cache', member),
        length: 4,
        code: 'unmapped' as const,
      })),
    });
    const finder = finderOf(full, slab);
    finder.of('slab', object(skb));
    // Sheaves of newest keep free objects that their slab counts as in use.
    expect(finder.maybeFree).toBe(name === 'newest' ? 1 : 0);
  });

  test('a freelist that contradicts its slab’s counter does not decide', () => {
    if (name === 'newest') return;
    const finder = finderOf(
      damagedKernel(kernel, {
        patches: [...freed().patches, ...counting(skb, 3).patches],
        denials: [],
      }),
      slab,
    );
    expect(finder.of('slab', object(skb)).maybeFree).toBe(true);
  });

  test('a freelist that moves while it is read is read again', () => {
    if (name === 'newest') return;
    const page = kernel.pages.pageOfFrame(blockOf(skb).frame);
    const at = page + offset(slabType, 'freelist');
    let reads = 0;
    const moving: Kernel = Object.create(
      kernelReading(kernel, (address, length) => {
        const view = kernel.read(address, length);
        if (address > at || at + 8n > address + BigInt(length) || ++reads > 2) return view;
        const copy = new DataView(
          new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + length)).buffer,
        );
        // No address of any object.
        copy.setBigUint64(Number(at - address), 0x10n, true);
        return copy;
      }),
      { facts: { value: { ...kernel.facts, live: true } } },
    );
    const finder = finderOf(moving, slab);
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

  function cacheOf(address: bigint): bigint {
    return blockOf(address).cache.address;
  }

  /** The freelist of an object's slab begins there. */
  function first(address: bigint, object: bigint): Damage {
    const page = kernel.pages.pageOfFrame(blockOf(address).frame);
    return change(page, slabType, 'freelist', object, 8);
  }

  /** The slab of an object is no CPU's, and counts so many free objects. */
  function counting(address: bigint, unused: number): Damage {
    const page = kernel.pages.pageOfFrame(blockOf(address).frame);
    // Sixteen bits in use, fifteen of objects, and one says that a CPU has it.
    const inUse = offset(slabType, 'inuse');
    const objects = kernel.read(page + inUse + 2n, 2).getUint16(0, true) & 0x7fff;
    return {
      patches: [
        { address: page + inUse, bytes: littleEndian(BigInt(objects - unused), 2) },
        { address: page + inUse + 2n, bytes: littleEndian(BigInt(objects), 2) },
      ],
      denials: [],
    };
  }

  /** The list of free objects of its slab is the skb, and nothing behind it. */
  function freed(): Damage {
    const cache = cacheOf(skb);
    // freelist_ptr of mm/slub.c: NULL, by the cache's number and where it stands.
    const at =
      skb + BigInt(kernel.read(cache + offset('kmem_cache', 'offset'), 4).getUint32(0, true));
    const swapped = Buffer.from(littleEndian(at, 8)).readBigUInt64BE();
    const end = pointer(cache + offset('kmem_cache', 'random')) ^ swapped;
    return {
      patches: [
        ...counting(skb, 1).patches,
        ...first(skb, skb).patches,
        { address: at, bytes: littleEndian(end, 8) },
      ],
      denials: [],
    };
  }

  test('where memory is in a list of free pages the object is free', () => {
    expect(finderOf(kernel, { category: 'free-buddy' }).of('slab', object(skb)).place).toBe('free');
  });

  test('there is no such memory, or it cannot be read: that is not known, and not nobody’s', () => {
    const nowhere = finderOf(kernel, { category: undefined });
    expect(nowhere.of('slab', object(skb))).toMatchObject({
      place: 'unknown',
      why: 'no-such-frame',
    });
    expect(nowhere.of('page', survivor('s', { place: 5n }))).toMatchObject({
      place: 'unknown',
      why: 'no-such-frame',
    });
    const frame = frameOf(skb);
    const page = kernel.pages.pageOfFrame(frame);
    const denied = damagedKernel(kernel, {
      patches: [],
      denials: [{ address: page, length: 64, code: 'filtered' }],
    });
    const of = finderOf(denied, slab).of('slab', object(skb));
    expect(of).toMatchObject({ place: 'unknown', why: 'unreadable' });
    const dark = finderOf(kernel, { category: 'unread' });
    expect(dark.of('page', survivor('s', { place: BigInt(frame) })).place).not.toBe('unreferenced');
  });

  test('pages of a slab are the slab’s; a block that began within it was taken again', () => {
    const block = new PageReader(kernel).block(kernel.pages.pageOf(skb)!);
    const of = (frame: number, order: number) =>
      finderOf(kernel, slab).of('page', survivor('s', { place: BigInt(frame), order }));
    expect(of(block.frame, 5)).toMatchObject({
      place: 'slab',
      category: slab.category,
      cache: null,
    });
    const second = frameOf(skbs.find((one) => frameOf(one) !== block.frame) ?? skb);
    const other = new PageReader(kernel).block(kernel.pages.pageOfFrame(second));
    if (other.frame !== second) expect(of(second, 0).place).toBe('reused');
  });

  test('areas: of whom they are, a stack, or gone', () => {
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
  // Their timer frees them after a minute, which may be longer than the recording.
  ['tw_sock_TCP', 'kernel'],
  ['tw_sock_TCPv6', 'kernel'],
  ['kmalloc-192', 'unreferenced'],
])('objects of %s are with: %s', (cache, keeper) => {
  const found = { place: 'slab', category: 'slab-unreclaimable', cache, socket: null, why: null };
  expect(keeperOf(found as Parameters<typeof keeperOf>[0])).toBe(keeper);
});
