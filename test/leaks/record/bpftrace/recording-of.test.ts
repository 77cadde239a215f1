import { describe, expect, it } from 'vitest';
import { leaksAnswer } from '../../../../src/leaks/answer.js';
import { type RecordedBeside, recordingOf } from '../../../../src/leaks/record/bpftrace/recording-of.js';
import { noLookup } from '../../../../src/leaks/survivors/lookup.js';
import { PRINTED, printed, understood } from './printed.js';

const FRAME = 4096;

const BESIDE: RecordedBeside = {
  frameBytes: FRAME,
  maxBlocks: 100_000,
  maxSurvivors: 100_000,
  symbols: null,
  commandOf: () => null,
  pages: null,
  missedRuns: 0,
  windows: 3,
  endedEarly: false,
  isChosen: false,
};

describe.each(PRINTED)('a recording from bpftrace output: %s', (name) => {
  const output = understood(printed(name));
  const count = (map: 'x' | 'y') => output.counts.get(map) ?? 0;
  const recording = recordingOf(output, BESIDE);
  const last = recording.readings.at(-1);

  it('holds the blocks of the output at the end, by stack', () => {
    const frames = output.pieces.reduce((sum, { order }) => sum + 2 ** order, 0);
    const held = [...(last?.held.values() ?? [])];
    expect(held.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(frames * FRAME);
    const survivorBytes = recording.survivors.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(survivorBytes).toBe(frames * FRAME);
    const blocks = held.reduce((sum, one) => sum + (one.blocks ?? Number.NaN), 0);
    expect(blocks).toBe(recording.survivors.length);
  });

  it('has all windows, and the allocation time of each block within them', () => {
    expect(recording.readings).toHaveLength(5);
    expect(last?.at).toBeGreaterThan(11_000);
    for (const { since } of recording.survivors) {
      expect(since).toBeGreaterThanOrEqual(0);
      expect(since).toBeLessThanOrEqual(last?.at ?? 0);
    }
  });

  it('reports pages that /proc/vmstat counts and the program does not', () => {
    const codes = (beside: Partial<RecordedBeside>) =>
      leaksAnswer(recordingOf(output, { ...BESIDE, ...beside }), noLookup('no-source')).warnings.map(
        ({ code }) => code,
      );
    const same = { allocated: count('x'), freed: count('y') };
    expect(codes({ pages: same })).not.toContain('unseen');
    expect(codes({ pages: same })).not.toContain('unseen-frees');
    const more = codes({ pages: { allocated: same.allocated + 1, freed: same.freed + 1 } });
    expect(more).toEqual(expect.arrayContaining(['unseen', 'unseen-frees']));
    expect(codes({ missedRuns: 3 })).toContain('overrun');
    expect(codes({ missedRuns: null })).toContain('overrun-unknown');
    expect(codes({ windows: 4 })).toContain('source-truncated');
  });
});

it('has each remainder of a partly freed block as one allocation', () => {
  const recording = recordingOf(understood(printed('0.17-6.1')), BESIDE);
  const parts = recording.survivors.filter(({ order, bytes }) => bytes < 2 ** (order ?? 0) * FRAME);
  // ring_split of the module holds 8 of 16 frames, leak_parts 4 of 8, alloc_pages_exact 5 of 8.
  const shapes = new Set(parts.map(({ order, bytes }) => `${order}:${bytes / FRAME}`));
  expect([...shapes].sort()).toEqual(expect.arrayContaining(['3:4', '3:5', '4:8']));
  for (const { place, order } of parts) expect(Number(place)).toBeGreaterThan(order ?? 0);
});

it('counts a missed free if two blocks share a frame', () => {
  const text = printed('0.23-6.12');
  const [line = '', frame = '', id = '', meta = ''] = /^@b\[(\d+)\]: \((\d+), (\d+)\)$/m.exec(text) ?? [];
  // The order-3 block begins at the same multiple of 8, later.
  const start = Number(frame) - (Number(frame) % 8);
  const later = (BigInt(meta) & ~0xffn) + 0x33n + (1n << 40n);
  const doubled = text.replace(line, `${line}\n@b[${start}]: (${id}, ${later})`);
  const before = recordingOf(understood(text), BESIDE);
  const { losses, survivors } = recordingOf(understood(doubled), BESIDE);
  if (start === Number(frame)) throw new Error('the first block would be the same');
  expect(losses.missedFrees).toBe((before.losses.missedFrees ?? 0) + 1);
  expect(losses.overrun).toBeGreaterThan(0);
  expect(survivors.length).toBeLessThanOrEqual(before.survivors.length);
});
