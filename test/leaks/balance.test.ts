import { expect, test } from 'vitest';
import { leaksText } from '../../src/answers/leaks/text.js';
import { jsonOf } from '../../src/base/util.js';
import { leaksSchema } from '../../src/contracts/leaks.js';
import { leaksAnswer } from '../../src/leaks/answer.js';
import { FrameFollower } from '../../src/leaks/follow/frame-follower.js';
import { ObjectFollower } from '../../src/leaks/follow/object-follower.js';
import { ofThreads } from '../../src/leaks/record/tracefs/commands.js';
import { ALL, sampleOf } from '../../src/leaks/record/tracefs/kinds.js';
import type { CacheUse, Reading, Recording, Survivor } from '../../src/leaks/recording.js';
import { type Found, placed } from '../../src/leaks/survivors/lookup.js';
import { made, siteOf, survivor } from './made-recording.js';

const PAGE = 4096;
const SECONDS = 12;
const WINDOWS = 6;
const NAMES = ['', 'fill_ring', 'leak', 'read_file'];
const SITES = NAMES.map((name, at) => siteOf(`s${at}`, name === '' ? 'x' : name));
const sites = (stack: number) => `s${stack}`;

/** An allocation or a free of a page, with its time in seconds. */
interface Event {
  readonly at: number;
  readonly place: number;
  readonly order: number;
  /** Undefined for a free. */
  readonly stack?: number;
  readonly tid?: number;
}

/** Blocks that are each freed this many seconds after their allocation: a population that exists from the start. */
function ring(stack: number, order: number, perSecond: number, life: number, tid = 1): Event[] {
  const first = Number.isFinite(life) ? -Math.ceil(life) - 1 : 0;
  const count = (SECONDS - first) * perSecond;
  return Array.from({ length: count }, (_, index) => {
    const at = first + (index + 0.5) / perSecond;
    // Frames in the sample and frames outside it.
    const place = (1 + stack) * 2 ** 24 + index * 8;
    return [
      { at, place, order, stack, tid },
      { at: at + life, place, order },
    ];
  }).flat();
}

const leak = (stack: number, order: number, perSecond: number, tid = 1) =>
  ring(stack, order, perSecond, Number.POSITIVE_INFINITY, tid);

/** The verdict of `kdump-mem leaks` on events; it does not see those before the recording begins. */
function recorded(
  events: readonly Event[],
  { oneIn = 1, chosen = () => true }: { oneIn?: number; chosen?: (tid: number) => boolean } = {},
): Recording {
  const follower = new FrameFollower(oneIn === 1 ? ALL : sampleOf(oneIn, 3), { maxBlocks: 100_000, frameBytes: PAGE });
  const sink = ofThreads(follower, chosen);
  const seen = events.filter(({ at }) => at >= 0 && at < SECONDS).toSorted((one, other) => one.at - other.at);
  const readings: Reading[] = [follower.reading(0, sites)];
  for (const { at, place, order, stack, tid = 1 } of seen) {
    while (at > (readings.length * SECONDS) / WINDOWS)
      readings.push(follower.reading((readings.length * SECONDS * 1000) / WINDOWS, sites));
    if (stack === undefined) sink.freed(place, 2 ** order, at * 1e9);
    else sink.allocated(place, 2 ** order, at * 1e9, tid, stack);
  }
  readings.push(follower.reading(SECONDS * 1000, sites));
  const { survivors } = follower.survivors({ max: 100_000, siteOf: sites, began: 0, upper: 0n, commandOf: () => null });
  return { ...made(SITES, {}), readings, survivors, sample: follower.sample };
}

const nobody = {
  source: 'kcore' as const,
  unavailable: [],
  warnings: [],
  of: ({ site }: Survivor) => placed(site === 's3' ? 'page-cache' : 'unreferenced'),
};

function namesOf(recording: Recording): Record<string, string> {
  const { sites: judged } = leaksAnswer(recording, nobody);
  return Object.fromEntries(judged.map(({ frames, verdict, reason }) => [frames[0]?.symbol, `${verdict} ${reason}`]));
}

test.each([1, 8])('does not call a ring leaking if its blocks outlive the recording (one frame in %i)', (oneIn) => {
  const recording = recorded(ring(1, 2, 400, 15), { oneIn });
  expect(namesOf(recording)).toEqual({ fill_ring: 'unknown frees-keep-pace' });
  const answer = leaksAnswer(recording, nobody);
  // The remainder of its growth is close to zero.
  expect(answer.sites[0]?.growth?.low).toBeLessThan(answer.sites[0]!.growth!.perSecond / 2);
  const text = leaksText(answer, { limit: 5, width: null });
  expect(text).toMatch(/^Inconclusive after 12 s: 1 unknown\. Frees of older blocks/);
  expect(() => leaksSchema.parse(jsonOf(answer))).not.toThrow();
});

test.each([1, 8])('calls a leak leaking next to a ring of another order (one frame in %i)', (oneIn) => {
  const recording = recorded([...ring(1, 2, 400, 15), ...leak(2, 3, 200)], { oneIn });
  expect(namesOf(recording)).toEqual({ fill_ring: 'unknown frees-keep-pace', leak: 'leaking unreferenced' });
});

test('calls of a leak and a ring of one order only the one leaking that frees cannot account for', () => {
  const large = recorded([...ring(1, 2, 10, 15), ...leak(2, 2, 100)]);
  expect(namesOf(large)).toEqual({ fill_ring: 'unknown frees-keep-pace', leak: 'leaking unreferenced' });
  const alike = recorded([...ring(1, 2, 50, 15), ...leak(2, 2, 50)]);
  expect(Object.values(namesOf(alike))).toEqual(Array(2).fill('unknown frees-keep-pace'));
});

test('ignores frees of older blocks that stop before the second half of the recording', () => {
  // All older blocks are freed in the first seconds.
  const older = Array.from({ length: 5000 }, (_, index) => ({
    at: (3 * index) / 5000,
    place: 2 ** 30 + index,
    order: 0,
  }));
  expect(namesOf(recorded([...older, ...leak(2, 0, 100)]))).toEqual({ leak: 'leaking unreferenced' });
});

test('keeps the verdict of a growing site with an owner', () => {
  expect(namesOf(recorded(ring(3, 0, 100, 15)))).toEqual({ read_file: 'growing reclaimable' });
});

test('subtracts allocations of other threads if only some threads are recorded', () => {
  // Other threads allocate and free blocks that live for one second, all the time.
  const others = ring(3, 0, 500, 1, 2);
  const of = (events: Event[]) => namesOf(recorded(events, { chosen: (tid) => tid === 1 }));
  expect(of([...others, ...leak(2, 0, 50)])).toEqual({ leak: 'leaking unreferenced' });
  expect(of([...others, ...ring(1, 0, 50, 15)])).toEqual({ fill_ring: 'unknown frees-keep-pace' });
});

/** Objects that a site allocated, and the kernel's count of objects in use in their cache. */
function objects(inUse: (at: number) => number, found: Partial<Found> = {}) {
  const follower = new ObjectFollower(ALL, { maxBlocks: 10_000 });
  const caches = (at: number): ReadonlyMap<string, CacheUse> =>
    new Map([['kmalloc-256', { bytes: inUse(at), slack: 0 }]]);
  const readings: Reading[] = [];
  for (let window = 0; window <= WINDOWS; window++) {
    if (window > 0)
      for (let index = 0; index < 100; index++)
        follower.allocated((window * 100 + index) * 256, 256, (window - 0.5) * 2e9, 1, 2);
    readings.push({ ...follower.reading(window * 2000, sites), caches: caches(window) });
  }
  const { survivors } = follower.survivors({ max: 10_000, siteOf: sites, began: 0, upper: 0n, commandOf: () => null });
  const recording = { ...made(SITES, {}), type: 'slab' as const, readings, survivors };
  const slab = { ...placed('slab', 'slab-unreclaimable'), cache: 'kmalloc-256', ...found };
  const [site] = leaksAnswer(recording, { ...nobody, of: () => slab }).sites;
  return `${site?.verdict} ${site?.reason}`;
}

test('calls objects leaking only as far as their cache grows', () => {
  expect(objects((at) => 1e6 + at * 25_600)).toBe('leaking unreferenced');
  expect(objects((at) => 1e6 + at * 1000)).toBe('unknown frees-keep-pace');
  expect(objects(() => 1e6)).toBe('unknown frees-keep-pace');
});

test('does not call a site leaking if its objects may be free', () => {
  expect(objects((at) => at * 25_600, { maybeFree: true })).toBe('unknown maybe-free');
});

test('calls a site leaking if only a few of many objects may be free', () => {
  const held = Array.from({ length: 150 }, (_, index) =>
    survivor('s2', { place: BigInt(index), order: null, since: 60_000 * Math.floor(index / 10) }),
  );
  const windows = Array.from({ length: 15 }, (_, at) => 10 * PAGE * (at + 1));
  const recording = made(SITES, { s2: windows }, { type: 'slab', survivors: held });
  const of = (share: bigint) =>
    leaksAnswer(recording, {
      ...nobody,
      of: ({ place }) => ({
        ...placed('slab', 'slab-unreclaimable'),
        cache: 'kmalloc-256',
        ...(place % 10n < share ? { maybeFree: true as const } : {}),
      }),
    }).sites[0];
  expect(of(1n)).toMatchObject({ verdict: 'leaking' });
  expect(of(3n)).toMatchObject({ verdict: 'unknown', reason: 'maybe-free' });
});
