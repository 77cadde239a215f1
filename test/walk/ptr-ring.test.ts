import { expect, test } from 'vitest';
import { ReadError } from '../../src/base/errors.js';
import { PtrRingReader } from '../../src/walk/ptr-ring.js';
import { partialKernel } from '../support/made-kernel.js';

const RING = 0xffff_8880_0000_1000n;
const QUEUE = 0xffff_8880_0000_2000n;
const MEMBERS = { producer: 0, consumer_head: 4, consumer_tail: 8, size: 12, queue: 16 } as const;

/** A ring of eight entries: the entries, and the positions of producer and consumer. */
function ring(slots: readonly bigint[], producer: number, head: number, live = false, off = 0n): bigint[] {
  const bytes = new DataView(new ArrayBuffer(24));
  bytes.setUint32(MEMBERS.producer, producer, true);
  bytes.setUint32(MEMBERS.consumer_head, head, true);
  bytes.setUint32(MEMBERS.consumer_tail, head, true);
  bytes.setUint32(MEMBERS.size, slots.length, true);
  bytes.setBigUint64(MEMBERS.queue, QUEUE + off, true);
  const queue = new DataView(new ArrayBuffer(8 * slots.length));
  slots.forEach((slot, index) => {
    queue.setBigUint64(8 * index, slot, true);
  });
  const kernel = partialKernel({
    facts: { live },
    struct: (name) => ({
      name,
      size: 24,
      members: Object.keys(MEMBERS),
      member: (path) => {
        const offset = MEMBERS[path as keyof typeof MEMBERS];
        return { offset, size: path === 'queue' ? 8 : 4, type: '', pointer: path === 'queue' };
      },
    }),
    read: (address, length) => {
      for (const [start, view] of [
        [RING, bytes],
        [QUEUE, queue],
      ] as const) {
        const at = Number(address - start);
        if (at >= 0 && at + length <= view.byteLength) return new DataView(view.buffer, at, length);
      }
      throw new ReadError('absent', address);
    },
  });
  return [...new PtrRingReader(kernel).entries(RING)];
}

const entry = (index: number) => 0xffff_8880_1000_0000n + BigInt(256 * index);

test('returns the entries between consumer and producer, oldest first, across the end', () => {
  const slots = [entry(8), 0n, 0n, 0n, 0n, 0n, entry(6), entry(7)];
  expect(ring(slots, 1, 6)).toEqual([entry(6), entry(7), entry(8)]);
});

test('reads an empty and a full ring', () => {
  expect(ring(new Array<bigint>(8).fill(0n), 3, 3)).toEqual([]);
  const full = Array.from({ length: 8 }, (_, index) => entry(index));
  expect(ring(full, 0, 0)).toEqual(full);
});

test('reports a missing or an additional entry as contradicting the producer', () => {
  expect(() => ring([entry(0), 0n, entry(2), 0n, 0n, 0n, 0n, 0n], 3, 0)).toThrow(
    'has 3 written entries, but 1 were found',
  );
  expect(() => ring([entry(0), 1n, 0n, 0n, 0n, 0n, 0n, 0n], 1, 0)).toThrow('has 1 written entries, but 2 were found');
});

test('returns the present entries of a running kernel, which writes during the read', () => {
  expect(ring([entry(0), entry(1), 0n, 0n, 0n, 0n, 0n, 0n], 1, 0, true)).toHaveLength(2);
});

test('reports misaligned entries', () => {
  expect(() => ring([0n, 0n], 0, 0, false, 1n)).toThrow(/^the entries of a ring at 0x\w+ are misaligned$/);
});
