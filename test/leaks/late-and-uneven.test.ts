import { expect, test } from 'vitest';
import { leaksText } from '../../src/answers/leaks/text.js';
import { jsonOf } from '../../src/base/util.js';
import { leaksSchema } from '../../src/contracts/leaks.js';
import { leaksAnswer } from '../../src/leaks/answer.js';
import type { Recording, Survivor } from '../../src/leaks/recording.js';
import { noLookup, placed } from '../../src/leaks/survivors/lookup.js';
import type { Place } from '../../src/records/leak-codes.js';
import { exactly, made, siteOf, survivor } from './made-recording.js';

const SITE = siteOf('s', '__alloc_pages', 'leak_pages [leak]', 'kthread');
const PAGE = 4096;
const MINUTE = 60_000;

const everywhere = (place: Place) => ({
  source: 'kcore' as const,
  unavailable: [],
  warnings: [],
  of: () => placed(place),
});

/** Blocks since this minute that are still held, with this many per minute. */
function since(minute: number, each: number, until = 15): Survivor[] {
  return Array.from({ length: (until - minute) * each }, (_, at) =>
    survivor('s', { place: BigInt(at), since: MINUTE * (minute + at / each) }),
  );
}

const from = (minute: number, each: number) =>
  Array.from({ length: 15 }, (_, at) => Math.max(0, at + 1 - minute) * each * PAGE);

const whole = { unseen: { allocated: 1, traced: 1, low: 1, high: 1 } };

test.each([10, 11, 12, 13, 14])(
  'neither calls a leak that began in minute %i of 15 transient nor reports that nothing leaks',
  (minute) => {
    const recording = made([SITE], { s: from(minute, 100) }, { survivors: since(minute, 100), ...whole });
    for (const lookup of [everywhere('unreferenced'), everywhere('socket'), noLookup('no-source')]) {
      const answer = leaksAnswer(recording, lookup);
      expect(answer.sites[0]).toMatchObject({ verdict: 'unknown', reason: 'inconclusive' });
      expect(leaksText(answer, { limit: 5, width: null })).not.toMatch(/[Nn]othing leaks/);
    }
  },
);

test('does not count large blocks that are all in the sample as too few', () => {
  const each = 2 ** 10 * PAGE;
  const recording = made(
    [SITE],
    { s: Array.from({ length: 15 }, (_, at) => (at + 1) * each) },
    {
      survivors: Array.from({ length: 15 }, (_, at) =>
        survivor('s', { place: BigInt(at * 1024), bytes: each, order: 10, since: MINUTE * at }),
      ),
      // All blocks of 2^9 frames contain a sampled frame.
      sample: { oneIn: 64, mask: 63n << 3n, residue: 8n },
    },
    { s: each },
  );
  expect(leaksAnswer(recording, everywhere('unreferenced')).sites[0]).toMatchObject({ verdict: 'leaking', blocks: 15 });
});

test('reports null if fewer, but larger blocks are held than before', () => {
  const recording = { ...made([SITE], { s: [PAGE, PAGE, PAGE] }), method: 'page-owner' as const };
  const readings: Recording['readings'] = recording.readings.map(({ at }) => ({
    at,
    held: new Map([['s', at === 0 ? exactly(10 * PAGE, 10) : exactly((10 + at / 10_000) * PAGE, 2)]]),
  }));
  const answer = leaksAnswer({ ...recording, readings }, everywhere('unreferenced'));
  expect(leaksSchema.parse(jsonOf(answer)).sites[0]).toMatchObject({ bytes: 18 * PAGE, blocks: null });
  expect(leaksText(answer, { limit: 5, width: null })).toContain('leak_pages [leak] ← kthread: 72.0 KiB in 3 min');
});

test('reports no negative age of blocks allocated during the last reading', () => {
  const recording = made([SITE], { s: from(0, 10) }, { survivors: [survivor('s', { since: 15 * MINUTE + 700 })] });
  const answer = leaksAnswer(recording, everywhere('unreferenced'));
  expect(leaksSchema.parse(jsonOf(answer)).sites[0]?.survivors?.ages).toEqual({ median: 0, oldest: 0 });
});
