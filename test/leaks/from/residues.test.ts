import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FrameFollower } from '../../../src/leaks/follow/frame-follower.js';
import { packedLines } from '../../../src/leaks/from/packed-lines.js';
import { TraceTextParser } from '../../../src/leaks/from/parsers.js';
import type { FrameNumbers, TextEvent } from '../../../src/leaks/from/text-event.js';
import { KnownFrames } from '../../../src/leaks/readings/tally.js';

/** Allocations and frees of a leaking module among others in a guest, in time order. */
async function eventsOf(kernel: string): Promise<TextEvent[]> {
  const events: TextEvent[] = [];
  const frames = new KnownFrames();
  const numberOf: FrameNumbers = (line, read) => frames.numberOf(line, read);
  for (const part of ['alloc', 'free']) {
    const parser = new TraceTextParser((event) => events.push(event), numberOf);
    const path = fileURLToPath(new URL(`captured/${kernel}-page.${part}.txt.gz`, import.meta.url));
    for await (const lines of packedLines(path)) for (const line of lines) parser.line(line);
    parser.end();
  }
  return events.sort((a, b) => a.time - b.time);
}

describe('a recorded stream replayed with every residue of a mask', () => {
  it.each([
    ['5.10', 16, 3],
    ['5.10', 64, 3],
    ['6.1', 16, 3],
    ['6.1', 64, 3],
    ['6.1', 64, 5],
  ])('%s, one in %i by bits from %i on: 95 of 100 intervals contain the true amount', async (kernel, oneIn, bit) => {
    const events = await eventsOf(kernel);
    const stacks = [...new Set(events.map(({ stack }) => stack.join('\n')))];
    const numbers = new Map(stacks.map((stack, number) => [stack, number]));
    const held = (mask: bigint, residue: bigint) => {
      const sample = { oneIn: mask === 0n ? 1 : oneIn, mask, residue };
      const follower = new FrameFollower(sample, { maxBlocks: 10_000, frameBytes: 4096 });
      for (const { free, place, length, time, tid, stack } of events)
        if (free) follower.freed(place, length);
        else follower.allocated(place, length, time, tid, numbers.get(stack.join('\n')) ?? -1);
      return follower.reading(0, String).held;
    };
    const truth = held(0n, 0n);
    let [inside, met] = [0, 0];
    const sums = new Map<string, number>();
    for (let residue = 0n; residue < BigInt(oneIn); residue++)
      for (const [site, { lowBytes: low, highBytes: high, sampled }] of held(
        BigInt(oneIn - 1) << BigInt(bit),
        residue << BigInt(bit),
      )) {
        const bytes = truth.get(site)?.bytes ?? 0;
        sums.set(site, (sums.get(site) ?? 0) + (sampled ?? 0));
        met++;
        if (low <= bytes && bytes <= high) inside++;
      }
    // Each frame is in one sample, in which its free matches its allocation.
    for (const [site, { bytes }] of truth) expect(sums.get(site) ?? 0).toBe(bytes);
    expect(met).toBeGreaterThan(50);
    expect(inside / met).toBeGreaterThanOrEqual(0.95);
  });
});
