import { expect, test } from 'vitest';
import { CpuStream } from '../../../../src/leaks/record/tracefs/cpu-stream.js';
import type { Decoder } from '../../../../src/leaks/record/tracefs/kinds.js';
import { planOf, streamOf } from './streams.js';

const TYPE = 700;
/** A kmalloc event: type, flags, tid, call site, address, bytes. */
const KMALLOC: Decoder = {
  kind: 'object-allocated',
  flags: 2,
  tid: 4,
  place: 16,
  length: 24,
  lengthBytes: 8,
  leastBytes: 32,
};

/** The address bits above the lower 52 that a stream infers from these allocations. */
function upperOf(...addresses: bigint[]): number | null | undefined {
  const plan = planOf(streamOf('6.1'));
  const stream = new CpuStream({ ...plan, decoders: new Map([[TYPE, KMALLOC]]) });
  for (const address of addresses) {
    const event = Buffer.alloc(32);
    event.writeUInt16LE(TYPE, 0);
    event.writeBigUInt64LE(address, 16);
    event.writeBigUInt64LE(64n, 24);
    stream.event(event, 0, event.length, 1);
  }
  return stream.upper;
}

test.each([
  ['four levels of page tables', 0xffff_8880_0123_4000n, 0xfff],
  ['five levels', 0xff11_0000_0123_4000n, 0xff1],
])('places objects in the direct map of %s', (_, address, upper) => {
  expect(upperOf(address, address + 64n)).toBe(upper);
});

test('reports two different upper halves as null, and none as undefined', () => {
  expect(upperOf(0xffff_8880_0123_4000n, 0xff11_0000_0123_4000n)).toBeNull();
  expect(upperOf(0xffff_8880_0123_4000n, 0xff11_0000_0123_4000n, 0xff11_0000_0123_4000n)).toBeNull();
  expect(upperOf()).toBeUndefined();
});
