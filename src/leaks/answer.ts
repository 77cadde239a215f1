import type { LeakSite, LeaksAnswer } from '../contracts/leaks.js';
import { LEAK_VERDICTS } from '../records/leak-codes.js';
import { isWhole, type LeakNote, noteWords } from './notes.js';
import { type Held, merged, type Recording } from './recording.js';
import { Balances, bounded, knowsWhatWas, MIN_WINDOWS, NOTHING, siteGrowth } from './site-growth.js';
import { lookUp, type SiteSurvivors } from './site-survivors.js';
import { keeperOf, type Lookup } from './survivors/lookup.js';
import { judge } from './verdict.js';

/** Threads whose allocations were followed. */
export interface ThreadFilterFacts {
  /** Description of the threads; untrusted. */
  readonly who: string;
  /** Allocations of threads that exited before they could be matched with the filter. */
  readonly ended: number;
}

/**
 * Combines a recording with the lookup of its survivors.
 *
 * @param chosen the threads that were followed, if not all
 */
export function leaksAnswer(recorded: Recording, lookup: Lookup, chosen?: ThreadFilterFacts): LeaksAnswer {
  const recording = merged(recorded);
  const { readings, sample } = recording;
  const last = readings.at(-1);
  const duration = last?.at ?? 0;
  const bySite = lookUp(recording.survivors, lookup, duration);
  const balances = new Balances(recording, bySite);
  const knows = knowsWhatWas(recording.method);
  const found = [...(last?.held ?? [])]
    .flatMap(([id]) => {
      const site = recording.sites.get(id);
      if (!site) throw new TypeError(`a reading has the site ${id}, and the recording has not`);
      const survivors = bySite.get(id);
      const growth = siteGrowth(recording, id);
      // The sample contains more large blocks than one in `oneIn`.
      const seen =
        growth.last.blocks === null || sample.oneIn === 1
          ? null
          : Math.max(growth.last.blocks / sample.oneIn, survivors?.blocks ?? 0);
      const before = knows ? (readings[0]?.held.get(id) ?? NOTHING) : null;
      const held = before === null ? growth.last : difference(growth.last, before);
      // The site freed more than it allocated.
      if (held.highBytes <= 0) return [];
      const balance = balances.of(id);
      const judged = judge(growth, survivors, seen, balance?.keepsPace);
      const isBounded = judged.verdict === 'leaking' || judged.reason === 'frees-keep-pace';
      const left = stillHeld(held, survivors);
      const leakSite: LeakSite = {
        ...judged,
        kind: site.kind,
        frames: site.frames,
        ...rounded(left),
        // Per-CPU counters are not read atomically: a sum may be negative.
        beforeBytes: before && Math.max(0, before.bytes),
        growth: isBounded ? bounded(growth.growth, balance) : growth.growth,
        survivors: survivors ? published(survivors) : null,
      };
      return [{ held: left, site: leakSite }];
    })
    .toSorted(
      (a, b) =>
        LEAK_VERDICTS.indexOf(a.site.verdict) - LEAK_VERDICTS.indexOf(b.site.verdict) || b.held.bytes - a.held.bytes,
    );
  const sites = found.map(({ site }) => site);
  const foundFree = freeOf(bySite.values());
  const lookedUp = lookup.source === 'none' ? 0 : recording.survivors.length;
  const notes = [...notesOf(recording, { lookup, foundFree, chosen }), ...limitNotes(sites, lookup.limits)];
  const { losses, unseen } = recording;
  return {
    schema: 'kdump-mem.leaks/1',
    type: recording.type,
    method: recording.method,
    seconds: Math.round(duration) / 1000,
    windows: Math.max(0, readings.length - 1),
    sample,
    endedEarly: recording.endedEarly,
    total: rounded(sumOf(found.map(({ held }) => held))),
    sites,
    omitted: 0,
    lookedUpBy: lookup.source,
    unavailable: lookup.unavailable,
    lookedUp,
    foundFree,
    losses,
    unseen: unseen && {
      allocated: unseen.allocated,
      traced: Math.round(unseen.traced),
      low: Math.round(unseen.low),
      high: Math.round(unseen.high),
    },
    unseenFrees: recording.unseenFrees ?? null,
    tracing: recording.tracing ?? null,
    complete: isWhole(notes),
    warnings: notes.map((note) => ({
      code: note.code,
      count: note.count ?? null,
      bytes: note.bytes ?? null,
      message: noteWords(note, recording.type),
    })),
  };
}

function rounded({ bytes, lowBytes, highBytes, blocks }: Held): LeaksAnswer['total'] {
  return {
    bytes: Math.round(bytes),
    lowBytes: Math.round(lowBytes),
    highBytes: Math.round(highBytes),
    blocks: blocks === null ? null : Math.round(blocks),
  };
}

function published({ maybeFree: _, ...survivors }: SiteSurvivors): LeakSite['survivors'] {
  return survivors;
}

/** The increase since the beginning. Sources that know the earlier amount do not sample. */
function difference(now: Held, before: Held): Held {
  const blocks = now.blocks === null || before.blocks === null ? null : now.blocks - before.blocks;
  return {
    bytes: now.bytes - before.bytes,
    // More bytes in fewer blocks: the number of new ones is unknown.
    blocks: blocks === null || blocks <= 0 ? null : blocks,
    lowBytes: now.lowBytes - before.highBytes,
    highBytes: now.highBytes - before.lowBytes,
    sampled: null,
  };
}

/** Subtracts freed blocks: their share of the looked-up blocks is applied to all. */
function stillHeld(held: Held, survivors: SiteSurvivors | undefined): Held {
  if (!survivors || survivors.bytes === 0) return held;
  const freed = survivors.places.filter((place) => keeperOf(place) === 'freed');
  if (freed.length === 0) return held;
  const left = 1 - freed.reduce((sum, { bytes }) => sum + bytes, 0) / survivors.bytes;
  const blocks = 1 - freed.reduce((sum, place) => sum + place.blocks, 0) / survivors.blocks;
  return {
    bytes: Math.round(held.bytes * left),
    blocks: held.blocks === null ? null : Math.round(held.blocks * blocks),
    lowBytes: Math.round(held.lowBytes * left),
    highBytes: Math.round(held.highBytes * left),
    sampled: held.sampled === null ? null : Math.round(held.sampled * left),
  };
}

/** Samples of sites are independent: variances add up. */
function sumOf(all: readonly Held[]): Held {
  const sum = (of: (held: Held) => number | null) =>
    all.reduce<number | null>((total, held) => {
      const more = of(held);
      return total === null || more === null ? null : total + more;
    }, 0);
  const bytes = sum((held) => held.bytes) ?? 0;
  const reach = (end: 'lowBytes' | 'highBytes') => Math.hypot(...all.map((held) => held.bytes - held[end]));
  return {
    bytes,
    blocks: sum(({ blocks }) => blocks),
    lowBytes: Math.round(bytes - reach('lowBytes')),
    highBytes: Math.round(bytes + reach('highBytes')),
    sampled: sum(({ sampled }) => sampled),
  };
}

function freeOf(all: Iterable<SiteSurvivors>): LeaksAnswer['foundFree'] {
  let [blocks, bytes] = [0, 0];
  for (const { places } of all)
    for (const place of places)
      if (keeperOf(place) === 'freed') {
        blocks += place.blocks;
        bytes += place.bytes;
      }
  return { blocks, bytes };
}

interface LookupFacts {
  readonly lookup: Lookup;
  readonly foundFree: LeaksAnswer['foundFree'];
  readonly chosen: ThreadFilterFacts | undefined;
}

function notesOf(recording: Recording, { lookup, foundFree, chosen }: LookupFacts): LeakNote[] {
  const { losses, unseen, readings, endedEarly } = recording;
  const counted = (code: LeakNote['code'], count: number | null): LeakNote[] =>
    count === 0 ? [] : [{ code, ...(count === null ? {} : { count }) }];
  const some = (code: LeakNote['code'], count: number | null) => (count === null ? [] : counted(code, count));
  return [
    ...(endedEarly ? [{ code: 'ended-early' as const }] : []),
    ...(readings.length - 1 < MIN_WINDOWS ? [{ code: 'too-few-windows' as const }] : []),
    ...(chosen === undefined ? [] : [{ code: 'filtered' as const, why: chosen.who }]),
    ...some('exited-threads', chosen?.ended ?? 0),
    // The kernel's own records are not based on events, so no events can be lost.
    ...(followsEvents(recording.method) && losses.overrun === null
      ? [{ code: 'overrun-unknown' as const }]
      : some('overrun', losses.overrun)),
    ...some('missed-frees', losses.missedFrees),
    ...(foundFree.blocks === 0
      ? []
      : [{ code: 'found-free' as const, count: foundFree.blocks, bytes: foundFree.bytes }]),
    ...some('unknown-frees', losses.unknownFrees),
    ...some('without-stack', losses.withoutStack),
    ...some('dropped', losses.dropped),
    ...unseenNotes(recording, unseen),
    ...some('unseen-frees', recording.unseenFrees ?? 0),
    ...tracingNotes(recording),
    ...(recording.gaps ?? []).map(({ code, source, count }) => ({
      code: `source-${code}` as const,
      count,
      why: source,
    })),
    ...orderNotes(recording),
    ...lookupNotes(lookup, recording),
  ];
}

/** Notes on caches that fill up to a limit: blocks in them are no leak while the limit holds. */
function limitNotes(sites: readonly LeakSite[], limits: Lookup['limits']): LeakNote[] {
  const leaking = sites.filter(({ verdict }) => verdict === 'leaking');
  const caches = new Set(leaking.flatMap(({ survivors }) => survivors?.places.map(cacheOf) ?? []));
  return [...(limits ?? [])].flatMap(([cache, { held, most }]) =>
    caches.has(cache) ? [{ code: 'limited-cache' as const, count: held, why: `${cache}, ${most} at most` }] : [],
  );
}

function cacheOf({ cache }: SiteSurvivors['places'][number]): string | null {
  return cache;
}

/** Whether allocations are known by events, which may be lost or may not fire. */
function followsEvents(method: Recording['method']): boolean {
  return ['tracefs', 'bpftrace', 'perf-script', 'trace-text', 'memleak'].includes(method);
}

function unseenNotes({ type, method }: Recording, unseen: Recording['unseen']): LeakNote[] {
  // No kernel counter includes these, as /proc/vmstat does for pages.
  if (type === 'slab' && followsEvents(method)) return [{ code: 'unseen-objects' }];
  if (unseen === null) return type === 'page' && followsEvents(method) ? [{ code: 'unseen-unknown' }] : [];
  const { allocated, high } = unseen;
  return allocated > high ? [{ code: 'unseen', count: Math.round(allocated - high) }] : [];
}

function tracingNotes({ tracing }: Recording): LeakNote[] {
  if (!tracing) return [];
  const { orphansRemoved: orphans, leftBehind: left, settingsChanged: changed, share, budget } = tracing;
  const { lateEvents: late, unmatchedEvents: unmatched } = tracing;
  const isOver = share !== null && budget !== null && share > budget;
  return [
    ...(late > 0 ? [{ code: 'late' as const, count: late }] : []),
    ...(changed.length > 0
      ? [{ code: 'settings-changed' as const, count: changed.length, why: changed.join(', ') }]
      : []),
    // If the kernel does not count them, lost events are unknown: this is reported.
    ...(unmatched === null || unmatched === 0 ? [] : [{ code: 'events-unmatched' as const, count: unmatched }]),
    ...(orphans.length > 0 ? [{ code: 'orphans' as const, count: orphans.length, why: orphans.join(', ') }] : []),
    ...(left.length > 0 ? [{ code: 'left-behind' as const, count: left.length, why: left.join(', ') }] : []),
    ...(isOver ? [{ code: 'over-budget' as const }] : []),
  ];
}

/** The decrease at the end: growth that is read in the wrong order appears as a decrease. */
function orderNotes({ unknownOrder = 0, readings }: Recording): LeakNote[] {
  if (unknownOrder === 0) return [];
  const [first = 0, last = 0] = [readings[0], readings.at(-1)].map((reading) =>
    [...(reading?.held.values() ?? [])].reduce((sum, { bytes }) => sum + bytes, 0),
  );
  const less = first > last ? { bytes: first - last } : {};
  return [{ code: 'unknown-order', count: unknownOrder, ...less }];
}

function lookupNotes(lookup: Lookup, recording: Recording): LeakNote[] {
  const { method, survivorsLeftOut: leftOut } = recording;
  const survivors = recording.survivors.length;
  // It has a line for each area, but may lack their addresses.
  const noBlocks = method === 'vmallocinfo' ? 'no-addresses' : 'no-blocks';
  const why = lookup.unavailable.map((source) => `${source.source}: ${source.why}`).join('; ');
  const reason = why === '' ? {} : { why };
  return [
    ...(leftOut === null ? [{ code: noBlocks } as const] : []),
    ...(leftOut !== null && lookup.source === 'none' && survivors > 0
      ? [{ code: 'not-looked-up' as const, ...reason }]
      : []),
    ...(lookup.source === 'pageflags' ? [{ code: 'flags-only' as const, ...reason }] : []),
    ...(lookup.source !== 'none' && leftOut !== null && leftOut > 0
      ? [{ code: 'left-out' as const, count: leftOut }]
      : []),
    ...lookup.warnings.map((warning) => ({ code: 'lookup' as const, why: warning })),
    ...(lookup.maybeFree ? [{ code: 'maybe-free' as const, count: lookup.maybeFree }] : []),
  ];
}
