import { expect, test } from 'vitest';
import { leaksAnswer } from '../../src/leaks/answer.js';
import type { Recording, Survivor } from '../../src/leaks/recording.js';
import { type Found, type Lookup, noLookup, placed } from '../../src/leaks/survivors/lookup.js';
import type { Place } from '../../src/records/leak-codes.js';
import { exactly, made, siteOf, survivor } from './made-recording.js';

const SITE = siteOf('s', '__alloc_pages', 'leak_pages [leak]', 'kthread');
const PAGE = 4096;
const MINUTE = 60_000;

const steadily = (windows: number, each = 10) =>
  Array.from({ length: windows }, (_, index) => each * PAGE * (index + 1));

/** Survivors of each minute, all in one place. */
function survivors(perMinute: readonly number[]): Survivor[] {
  return perMinute.flatMap((count, minute) =>
    Array.from({ length: count }, (_, index) =>
      survivor('s', { place: BigInt(1000 * minute + index), since: MINUTE * (minute + index / count) }),
    ),
  );
}

const everywhere = (found: Found | Place) => ({
  source: 'kcore' as const,
  unavailable: [],
  warnings: [],
  of: () => (typeof found === 'string' ? placed(found) : found),
});

function judged(windows: readonly number[], found: Found | Place, more: Partial<Recording> = {}) {
  const count = windows.length;
  const held = survivors(Array.from({ length: count }, () => 10));
  const recording = made([SITE], { s: windows }, { survivors: held, ...more });
  const [site] = leaksAnswer(recording, everywhere(found)).sites;
  return { verdict: site?.verdict, reason: site?.reason };
}

test.each([3, 4, 7, 8, 15, 30])('calls unreferenced memory that grows over %i windows leaking', (windows) => {
  expect(judged(steadily(windows), 'unreferenced')).toEqual({ verdict: 'leaking', reason: 'unreferenced' });
});

test('reports the rate with its interval, from slopes and windows', () => {
  for (const windows of [5, 15]) {
    const recording = made([SITE], { s: steadily(windows) });
    const [site] = leaksAnswer(recording, noLookup('from-file')).sites;
    const { perSecond, low, high } = site!.growth!;
    expect(perSecond).toBeCloseTo((10 * PAGE) / 60, 6);
    expect(low).toBeLessThanOrEqual(perSecond + 1e-6);
    expect(high).toBeGreaterThanOrEqual(perSecond - 1e-6);
  }
});

test.each([1, 2])('reports nothing after %i windows', (windows) => {
  expect(judged(steadily(windows), 'unreferenced')).toEqual({ verdict: 'unknown', reason: 'too-few-windows' });
});

test.each([
  ['page-cache', 'reclaimable'],
  ['anonymous', 'process-owned'],
  ['page-table', 'process-owned'],
  ['kernel-stack', 'process-owned'],
  ['pipe', 'process-owned'],
  ['ring', 'kernel-owned'],
  ['unknown', 'location-unknown'],
] as const)('does not call growing memory that is %s leaking', (place, reason) => {
  expect(judged(steadily(15), place)).toEqual({ verdict: 'growing', reason });
});

test.each(['socket', 'network', 'page-pool'] as const)('calls memory that is not read from %s leaking', (place) => {
  expect(judged(steadily(15), place)).toEqual({ verdict: 'leaking', reason: 'queued' });
});

test('judges slab objects by their cache', () => {
  const slab = (cache: string, category: Found['category']) =>
    judged(steadily(15), { ...placed('slab', category), cache }, { type: 'slab' });
  expect(slab('kmalloc-256', 'slab-unreclaimable').verdict).toBe('leaking');
  expect(slab('dentry', 'slab-reclaimable').reason).toBe('reclaimable');
  expect(slab('vm_area_struct', 'slab-unreclaimable').reason).toBe('process-owned');
  expect(slab('skbuff_head_cache', 'slab-unreclaimable').reason).toBe('queued');
});

test('calls a cache that fills and then stays level transient', () => {
  const fills = [10, 20, 30, 40, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50].map((n) => n * PAGE);
  const held = survivors([10, 10, 10, 10, 10, ...Array.from({ length: 10 }, () => 0)]);
  expect(judged(fills, 'unreferenced', { survivors: held })).toEqual({ verdict: 'transient', reason: 'slowing' });
});

test('calls memory that turns over transient, however much it holds meanwhile', () => {
  // As many blocks arrive as are freed; those held at the end are the newest.
  const level = [50, 52, 54, 55, 57, 58, 60, 61, 63, 64, 66, 67, 69, 70, 72].map((n) => n * PAGE);
  const held = survivors([...Array.from({ length: 13 }, () => 0), 2, 70]);
  expect(judged(level, 'unreferenced', { survivors: held })).toEqual({ verdict: 'transient', reason: 'turns-over' });
});

test('does not call a leak below a fluctuating level transient', () => {
  const level = [90, 20, 80, 60, 95, 40, 70, 99, 30, 80, 50, 90, 40, 60, 70].map((n) => n * PAGE);
  const held = survivors([...Array.from({ length: 14 }, () => 2), 42]);
  expect(judged(level, 'unreferenced', { survivors: held })).toEqual({ verdict: 'unknown', reason: 'inconclusive' });
});

test('does not call long-lived memory in balance leaking', () => {
  for (const lifetime of [2, 5, 10]) {
    const level = Array.from({ length: 15 }, (_, at) =>
      Math.round(100 * lifetime * (1 - Math.exp(-(at + 1) / lifetime)) * PAGE),
    );
    const held = survivors(Array.from({ length: 15 }, (_, at) => Math.round(100 * Math.exp(-(14 - at) / lifetime))));
    expect(judged(level, 'unreferenced', { survivors: held }).verdict).not.toBe('leaking');
  }
});

test('does not call fluctuating memory leaking, for any windows', () => {
  let seed = 7;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed / 2 ** 32;
  };
  let leaking = 0;
  for (let run = 0; run < 500; run++) {
    const windows = 3 + (run % 15);
    const level = Array.from({ length: windows }, () => Math.round(20 + 30 * random()) * PAGE);
    const recent = survivors(Array.from({ length: windows }, (_, at) => (at === windows - 1 ? 40 : 0)));
    if (judged(level, 'unreferenced', { survivors: recent }).verdict === 'leaking') leaking++;
  }
  expect(leaking).toBe(0);
});

test('reports a sample of a few blocks as too small', () => {
  const recording = made([SITE], { s: steadily(15) }, { survivors: survivors([1, 0, 1]) });
  const scaled = { ...recording, sample: { oneIn: 64, mask: 63n, residue: 5n } };
  const [site] = leaksAnswer(scaled, everywhere('unreferenced')).sites;
  expect(site).toMatchObject({ verdict: 'unknown', reason: 'sample-too-small' });
});

test('widens the interval of the rate by that of the sample', () => {
  const recording = made([SITE], { s: steadily(15) });
  const rateOf = (spread: number) => {
    const readings = recording.readings.map(({ at, held }) => ({
      at,
      held: new Map(
        [...held].map(([id, one]) => [
          id,
          { ...one, lowBytes: one.bytes * (1 - spread), highBytes: one.bytes * (1 + spread) },
        ]),
      ),
    }));
    return leaksAnswer({ ...recording, readings }, noLookup('from-file')).sites[0]!.growth!;
  };
  expect(rateOf(0.5).low).toBeCloseTo(rateOf(0).low / 2, 6);
  expect(rateOf(0.5).high).toBeCloseTo(rateOf(0).high * 1.5, 6);
});

test('does not count blocks that are free at the lookup as held, and reports them', () => {
  const held = survivors([10, 10, 10]);
  const recording = made([SITE], { s: steadily(3) }, { survivors: held });
  const half = {
    source: 'kcore' as const,
    unavailable: [],
    warnings: [],
    of: ({ place }: Survivor) => placed(place % 2n === 0n ? 'free' : 'unreferenced'),
  };
  const answer = leaksAnswer(recording, half);
  expect(answer.foundFree).toEqual({ blocks: 15, bytes: 15 * PAGE });
  expect(answer.sites[0]).toMatchObject({ bytes: 15 * PAGE, blocks: 15 });
  expect(answer.total.bytes).toBe(15 * PAGE);
  expect(answer.warnings).toContainEqual(expect.objectContaining({ code: 'found-free', count: 15, bytes: 15 * PAGE }));
  const [gone] = leaksAnswer(recording, everywhere('reused')).sites;
  expect(gone).toMatchObject({ verdict: 'transient', reason: 'freed', bytes: 0 });
});

test('calls memory that was freed before the lookup not leaking, even if the rest is unreferenced', () => {
  const held = survivors(Array.from({ length: 15 }, () => 10));
  const recording = made([SITE], { s: steadily(15) }, { survivors: held });
  const verdictOf = (share: bigint) =>
    leaksAnswer(recording, {
      source: 'kcore' as const,
      unavailable: [],
      warnings: [],
      of: ({ place }) => placed(place % 10n < share ? 'free' : 'unreferenced'),
    }).sites[0];
  expect(verdictOf(1n)).toMatchObject({ verdict: 'leaking' });
  expect(verdictOf(3n)).toMatchObject({ verdict: 'growing', reason: 'unsteady' });
});

test('notes that a leaking cache with a limit may only be filling', () => {
  const held = survivors(Array.from({ length: 15 }, () => 10));
  const recording = made([SITE], { s: steadily(15) }, { survivors: held });
  const limits = new Map([['nf_conntrack', { held: 812, most: 65_536 }]]);
  const answerOf = (cache: string, more: Partial<Lookup> = { limits }) => {
    const category = 'slab-unreclaimable' as const;
    const { sites, warnings } = leaksAnswer(recording, {
      ...everywhere({ ...placed('slab', category), cache }),
      ...more,
    });
    return [sites[0]?.verdict, warnings.filter(({ code }) => code === 'limited-cache')];
  };
  const message = expect.stringContaining('(nf_conntrack, 65536 at most; now 812 in this network');
  expect(answerOf('nf_conntrack')).toMatchObject(['leaking', [{ count: 812, message }]]);
  // Other caches, and caches without a known limit, need no note.
  expect(answerOf('kmalloc-256')).toEqual(['leaking', []]);
  expect(answerOf('nf_conntrack', {})).toEqual(['leaking', []]);
});

test('reports objects that may be free as an incomplete answer', () => {
  const recording = made([SITE], { s: steadily(15) }, { survivors: survivors([10, 10, 10]) });
  const notesOf = (maybeFree: number) => {
    const lookup = { ...everywhere('slab'), maybeFree };
    const { warnings, complete } = leaksAnswer({ ...recording, method: 'page-owner' }, lookup);
    return { notes: warnings.map(({ code, message }) => [code, message]), complete };
  };
  expect(notesOf(0)).toEqual({ notes: [], complete: true });
  const words = expect.stringMatching(/^7 objects may be free: .* as held\.$/);
  expect(notesOf(7)).toEqual({ notes: [['maybe-free', words]], complete: false });
});

test('never calls memory leaking that was not looked up, and reports an incomplete answer', () => {
  const held = survivors(Array.from({ length: 15 }, () => 10));
  const recording = made([SITE], { s: steadily(15) }, { survivors: held });
  const answer = leaksAnswer(recording, noLookup('no-source'));
  expect(answer.sites[0]).toMatchObject({ verdict: 'growing', reason: 'location-unknown' });
  expect(answer.complete).toBe(false);
  expect(answer.warnings.map(({ code }) => code)).toEqual(['unseen-unknown', 'not-looked-up']);
});

test('calls no site leaking without block addresses, with a note unless nothing is missing', () => {
  const codes = (more: Partial<Recording>) => {
    const { sites, warnings } = leaksAnswer(
      made([SITE], { s: steadily(15) }, { method: 'allocinfo', ...more }),
      everywhere('unreferenced'),
    );
    return [sites[0]?.reason, ...warnings.map(({ code }) => code)];
  };
  expect(codes({ survivorsLeftOut: null })).toEqual(['location-unknown', 'no-blocks']);
  expect(codes({ survivorsLeftOut: 0 })).toEqual(['location-unknown']);
  // Areas whose addresses the kernel does not print.
  const areas = { type: 'vmalloc', method: 'vmallocinfo', survivorsLeftOut: null } as const;
  expect(codes(areas)).toEqual(['location-unknown', 'no-addresses']);
});

test('counts as held only what was allocated since a known start', () => {
  const before = new Map([
    ['s', exactly(1000 * PAGE, 1000)],
    ['still', exactly(5 * PAGE, 5)],
    ['gave back', exactly(7 * PAGE, 7)],
  ]);
  const recording = made(
    [SITE, siteOf('still', 'still'), siteOf('gave back', 'gave_back')],
    {
      s: steadily(15).map((bytes) => bytes + 1000 * PAGE),
      still: steadily(15, 0).map(() => 5 * PAGE),
      'gave back': steadily(15, 0).map(() => 2 * PAGE),
    },
    { method: 'page-owner-stacks', survivorsLeftOut: null },
  );
  const [, ...later] = recording.readings;
  const readings = [{ at: 0, held: before }, ...later];
  const answer = leaksAnswer({ ...recording, readings }, everywhere('unreferenced'));
  expect(answer.sites).toHaveLength(1);
  expect(answer.sites[0]).toMatchObject({
    beforeBytes: 1000 * PAGE,
    bytes: 150 * PAGE,
    blocks: 150,
    verdict: 'growing',
    reason: 'location-unknown',
  });
  expect(answer.total.bytes).toBe(150 * PAGE);
});

test('reports what a source lacks as an incomplete answer', () => {
  const gaps = [{ code: 'truncated' as const, source: '/proc/allocinfo', count: 1 }];
  const { warnings, complete } = leaksAnswer(
    made([SITE], { s: steadily(3) }, { gaps, unseen: { allocated: 1, traced: 1, low: 1, high: 1 } }),
    everywhere('unreferenced'),
  );
  const message = expect.stringContaining('/proc/allocinfo');
  expect(warnings).toEqual([{ code: 'source-truncated', count: 1, bytes: null, message }]);
  expect(complete).toBe(false);
});

test('reports losses, and does not count unknown ones as zero', () => {
  const losses = { overrun: 7, unknownFrees: 3, missedFrees: 2, withoutStack: 1, dropped: 4 };
  const unseen = { allocated: 5000, traced: 1000, low: 900, high: 1100 };
  const recording = made([SITE], { s: steadily(3) }, { losses, unseen, endedEarly: true });
  const { warnings } = leaksAnswer(recording, everywhere('unreferenced'), { who: 'pid 7', ended: 6 });
  expect(warnings.map(({ code, count }) => [code, count])).toEqual([
    ['ended-early', null],
    ['filtered', null],
    ['exited-threads', 6],
    ['overrun', 7],
    ['missed-frees', 2],
    ['unknown-frees', 3],
    ['without-stack', 1],
    ['dropped', 4],
    ['unseen', 3900],
  ]);
  expect(warnings[1]?.message).toContain('pid 7');
});

test('lists leaking sites first, however small they are', () => {
  const big = siteOf('big', 'filemap_alloc_folio');
  const recording = made(
    [big, SITE],
    { big: steadily(15, 1000), s: steadily(15) },
    {
      survivors: [
        ...survivors(Array.from({ length: 15 }, () => 10)),
        ...Array.from({ length: 30 }, (_, at) => survivor('big', { place: 1n, since: (MINUTE * at) / 2 })),
      ],
    },
  );
  const lookup = {
    source: 'kcore' as const,
    unavailable: [],
    warnings: [],
    of: ({ site }: Survivor) => placed(site === 's' ? 'unreferenced' : 'page-cache'),
  };
  expect(leaksAnswer(recording, lookup).sites.map(({ verdict }) => verdict)).toEqual(['leaking', 'growing']);
});
