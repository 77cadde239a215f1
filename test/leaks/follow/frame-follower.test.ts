import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameFollower } from '../../../src/leaks/follow/frame-follower.js';
import type { Sample } from '../../../src/leaks/recording.js';
import { MODEL_ALL, modelSample, SimpleFrames } from './simple-frames.js';

const siteOf = (stack: number) => `s${stack}`;
const ORDER = { max: 100, siteOf, began: 0, upper: 0n, commandOf: () => null };

function followed(sample: Sample = MODEL_ALL, maxBlocks = 1000) {
  return new FrameFollower(sample, { maxBlocks, frameBytes: 4096 });
}

function bytesOf(follower: FrameFollower, site: string): number | undefined {
  return follower.reading(0, siteOf).held.get(site)?.bytes;
}

describe('frames that are followed', () => {
  it('are held until they are freed', () => {
    const follower = followed();
    follower.allocated(64, 8, 1, 10, 1);
    expect(bytesOf(follower, 's1')).toBe(8 * 4096);
    follower.freed(64, 8);
    expect(bytesOf(follower, 's1')).toBe(0);
    expect(follower.kept).toBe(0);
  });

  it('that kdump-mem itself had before the recording count for no site', () => {
    const bounds = { maxBlocks: 1000, frameBytes: 4096, isOwn: (tid: number) => tid === 7 };
    const follower = new FrameFollower(MODEL_ALL, bounds);
    for (const tid of [7, 8, 0]) follower.freed(tid, 1, 1, tid);
    expect(follower.reading(0, siteOf).unmatched).toEqual(new Map([[0, 2 * 4096]]));
    expect(follower.losses.unknownFrees).toBe(3);
  });

  it('are freed in parts, as by split_page and alloc_pages_exact', () => {
    const follower = followed();
    follower.allocated(64, 8, 2e6, 10, 1);
    follower.freed(69, 1);
    follower.freed(70, 2);
    expect(bytesOf(follower, 's1')).toBe(5 * 4096);
    expect(follower.survivors({ ...ORDER, began: 1e6 })).toEqual({
      survivors: [{ site: 's1', place: 64n, bytes: 5 * 4096, order: 3, since: 1, tid: 10, command: null }],
      leftOut: 0,
    });
    follower.freed(64, 4);
    expect(follower.survivors(ORDER).survivors[0]?.place).toBe(68n);
    expect(follower.losses.unknownFrees).toBe(0);
    follower.freed(68, 1);
    expect(follower.kept).toBe(0);
  });

  it('count for the allocating site if a pool takes them, and for the pool if that site is unknown', () => {
    const follower = followed();
    follower.allocated(8, 1, 1, 10, 1);
    follower.pooled(8, 2, 10, 2);
    follower.allocated(16, 8, 3, 10, 1);
    follower.pooled(16, 4, 10, 2);
    expect([bytesOf(follower, 's1'), bytesOf(follower, 's2')]).toEqual([9 * 4096, undefined]);
    // Allocated, freed, and then taken in bulk by a pool without another event.
    follower.freed(8, 1);
    follower.pooled(8, 6, 10, 2);
    follower.pooled(9, 7, 10, 2);
    expect([bytesOf(follower, 's1'), bytesOf(follower, 's2')]).toEqual([8 * 4096, 2 * 4096]);
    expect(follower.allocatedFrames).toMatchObject({ traced: 11 });
    expect(follower.losses).toMatchObject({ missedFrees: 0, unknownFrees: 0 });
  });

  it('may be freed together after single allocations', () => {
    const follower = followed();
    for (let frame = 32; frame < 40; frame++) follower.allocated(frame, 1, 1, 10, frame % 2);
    follower.freed(32, 8);
    expect(bytesOf(follower, 's0')).toBeUndefined();
    expect(follower.losses.unknownFrees).toBe(0);
  });

  it('count frees of older frames and missed frees', () => {
    const follower = followed();
    follower.freed(8, 1);
    follower.allocated(0, 4, 1, 10, 1);
    follower.allocated(2, 1, 2, 11, 2);
    follower.lost(5);
    follower.allocated(9, 1, 2, 11, -1);
    expect(bytesOf(follower, 's1')).toBe(3 * 4096);
    expect(bytesOf(follower, 's2')).toBe(4096);
    expect(follower.losses).toEqual({ overrun: 5, unknownFrees: 1, missedFrees: 1, withoutStack: 1, dropped: 0 });
    follower.lost(null);
    follower.lost(1);
    expect(follower.losses.overrun).toBeNull();
  });

  it('are limited in number, and the rest is reported as dropped', () => {
    const follower = followed(MODEL_ALL, 4);
    for (let at = 0; at < 6; at++) follower.allocated(at * 16, 16, 1, 1, 1);
    expect(follower.losses.dropped).toBe(2);
    expect(bytesOf(follower, 's1')).toBe(64 * 4096);
    // Each second frame of a block leaves 8 parts of it, more than the limit.
    for (let frame = 0; frame < 64; frame += 2) follower.freed(frame, 1);
    expect(follower.losses.dropped).toBeGreaterThan(2);
    const { survivors } = follower.survivors(ORDER);
    const bytes = survivors.reduce((sum, each) => sum + each.bytes, 0);
    expect(bytesOf(follower, 's1')).toBe(bytes);
    expect(follower.kept).toBeLessThanOrEqual(4);
  });

  it.each([
    ['no length', 8, 0],
    ['a length that no allocator returns', 0, 2 ** 40],
    ['a frame beyond the end of memory', 2 ** 53, 1],
    ['not a number', Number.NaN, 1],
    ['a negative frame', -8, 8],
  ])('refuse %s', (_, place, length) => {
    const follower = followed();
    follower.allocated(place, length, 1, 1, 1);
    follower.freed(place, length);
    expect(follower.kept).toBe(0);
    expect(follower.losses).toMatchObject({ dropped: 1, unknownFrees: 1 });
  });

  it('are not narrowed to an invalid sample', () => {
    expect(() => followed({ oneIn: 4, mask: 0x18n, residue: 0x20n })).toThrow(RangeError);
    expect(() => followed({ oneIn: 2, mask: 0x18n, residue: 0n })).toThrow(RangeError);
    const follower = followed({ oneIn: 4, mask: 0x18n, residue: 0x8n });
    expect(() => follower.narrow({ oneIn: 8, mask: 0x38n, residue: 0x10n })).toThrow(RangeError);
  });

  it('agree with a model that tracks each frame separately', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            free: fc.boolean(),
            order: fc.integer({ min: 0, max: 7 }),
            at: fc.nat(511),
            length: fc.integer({ min: 1, max: 24 }),
            aligned: fc.integer({ min: 0, max: 9 }),
          }),
          { maxLength: 120 },
        ),
        modelSample,
        modelSample,
        (events, sample, second) => {
          const follower = new FrameFollower(sample, { maxBlocks: 5000, frameBytes: 1 });
          const simple = new SimpleFrames(sample);
          const take = ({ free, order, at, length, aligned }: (typeof events)[number]) => {
            const block = aligned > 0;
            const size = block ? 2 ** order : length;
            const place = block ? at - (at % size) : at;
            if (free) {
              follower.freed(place, size);
              simple.freed(place, size);
            } else {
              follower.allocated(place, size, 1, 1, at % 5);
              simple.allocated(place, size, at % 5);
            }
          };
          const half = events.length / 2;
          events.slice(0, half).forEach(take);
          const mask = sample.mask | second.mask;
          const residue = (second.residue & ~sample.mask) | sample.residue;
          const oneIn = 2 ** [...mask.toString(2)].filter((bit) => bit === '1').length;
          follower.narrow({ oneIn, mask, residue });
          simple.narrow({ oneIn, mask, residue });
          events.slice(half).forEach(take);
          const bytesBySite = [...follower.reading(0, String).held]
            .map(([site, held]) => [site, held.sampled ?? held.bytes] as const)
            .filter(([, frames]) => frames > 0)
            .sort();
          expect(bytesBySite).toEqual(simple.bySite());
          const { missedFrees, unknownFrees } = follower.losses;
          expect({ missedFrees, unknownFrees }).toEqual(simple.losses);
        },
      ),
      { numRuns: 400 },
    );
  });
});
