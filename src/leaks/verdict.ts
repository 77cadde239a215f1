import { LEAST_WINDOWS, type SiteGrowth } from './site-growth.js';
import type { SiteSurvivors } from './site-survivors.js';
import type { Keeper } from './survivors/place.js';

/** What becomes of what a site holds. */
export const LEAK_VERDICTS = ['leaking', 'growing', 'unknown', 'transient'] as const;
export type LeakVerdict = (typeof LEAK_VERDICTS)[number];

/** Why. */
export const LEAK_REASONS = [
  /** leaking: it grows all the time, and nothing leads to what is held. */
  'unreferenced',
  /** leaking: it grows all the time, and waits in queues that nobody empties. */
  'queued',
  /** growing: the kernel takes it back where memory is short. */
  'reclaimable',
  /** growing: it is of processes, and ends with them. */
  'process-owned',
  /** growing: the kernel has it for something known. */
  'kernel-owned',
  /** growing: where the blocks are is not known. */
  'location-unknown',
  /** growing: that it goes on is not known: it grew unevenly, or what nobody gives back is not of all times alike. */
  'unsteady',
  /** transient: what was held at first has been freed meanwhile. */
  'turns-over',
  /** transient: it grew less and less, or not at all. */
  'slowing',
  /** transient: nothing of it is held any more. */
  'freed',
  'too-few-windows',
  'sample-too-small',
  /** unknown: the interval of its growth reaches from below zero to far above, or most of it came at last. */
  'inconclusive',
  /** unknown: it would leak, but as much of its order or cache was freed that had been allocated before. */
  'frees-keep-pace',
  /** unknown: it would leak, but whether its objects are free could not be read. */
  'maybe-free',
] as const;
export type LeakReason = (typeof LEAK_REASONS)[number];

export interface Judged {
  readonly verdict: LeakVerdict;
  readonly reason: LeakReason;
}

/** Blocks that must have been seen in a sample before anything is said of them. */
const LEAST_SAMPLED = 8;

/** Blocks of each third of the time that must be there still, of what leaks. */
const LEAST_KEPT = 2;

/** Share of what was looked up that may have been freed by then: what leaks never is. */
const MOST_GONE = 0.25;

/** What a site was seen to hold, itself and not scaled: blocks; null: the source does not count them. */
export type Seen = number | null;

/**
 * What is known of one site. Nothing is called leaking that has an owner who may end it, that slows down, or whose
 * old blocks are gone: what is merely long-lived must not be.
 *
 * @param keepsPace frees of older blocks of its order or cache keep pace with its allocations
 */
export function judge(
  { growth, course, last, windows, lately }: SiteGrowth,
  survivors: SiteSurvivors | undefined,
  seen: Seen,
  keepsPace = false,
): Judged {
  const shares = sharesOf(survivors);
  if (survivors && survivors.bytes > 0 && shares.freed === 1)
    return verdictOf('transient', 'freed');
  if (windows < LEAST_WINDOWS || growth === null) return verdictOf('unknown', 'too-few-windows');
  if (seen !== null && seen < LEAST_SAMPLED) return verdictOf('unknown', 'sample-too-small');
  // What began lately looks like what turns over: nothing of it is old.
  const mayGoOn = lately && (last.blocks ?? LEAST_SAMPLED) >= LEAST_SAMPLED;
  if (turnsOver(survivors))
    return mayGoOn ? verdictOf('unknown', 'inconclusive') : verdictOf('transient', 'turns-over');
  // A leak may hide below what goes up and down.
  if (course === 'slowing' && !mayLeak(survivors)) return verdictOf('transient', 'slowing');
  if (growth.low <= 0) {
    const mayGrow = growth.high > 0 && growth.high * growth.seconds > last.bytes / 2;
    const began = mayGoOn && 2 * (shares.process + shares.reclaimable) < 1 - shares.freed;
    return mayGrow || began || mayLeak(survivors)
      ? verdictOf('unknown', 'inconclusive')
      : verdictOf('transient', 'slowing');
  }
  if (course === 'slowing') return verdictOf('unknown', 'inconclusive');
  if (!survivors || survivors.bytes === 0) return verdictOf('growing', 'location-unknown');
  const judged = grows(survivors, shares, course === 'throughout');
  if (judged.verdict !== 'leaking') return judged;
  if (keepsPace) return verdictOf('unknown', 'frees-keep-pace');
  return survivors.maybeFree >= survivors.blocks * MOST_GONE
    ? verdictOf('unknown', 'maybe-free')
    : judged;
}

function grows(survivors: SiteSurvivors, shares: Shares, throughout: boolean): Judged {
  const half = (1 - shares.freed) / 2;
  if (shares.queued + shares.unreferenced >= half) {
    const steady = throughout && isSteady(survivors) && shares.freed < MOST_GONE;
    if (!steady) return verdictOf('growing', 'unsteady');
    return verdictOf('leaking', shares.queued > shares.unreferenced ? 'queued' : 'unreferenced');
  }
  const most = (['reclaimable', 'process', 'kernel', 'unknown'] as const).toSorted(
    (a, b) => shares[b] - shares[a],
  )[0]!;
  return verdictOf(
    'growing',
    {
      ...({
        reclaimable: 'reclaimable',
        process: 'process-owned',
        kernel: 'kernel-owned',
      } as const),
      unknown: 'location-unknown' as const,
    }[most],
  );
}

/** What leaks is there still, whenever it was allocated. */
function isSteady({ thirds, blocks }: SiteSurvivors): boolean {
  if (thirds === null) return true;
  const [first, second, third] = thirds;
  // A few large blocks, one in each window or so.
  const least = Math.min(LEAST_KEPT, Math.ceil(blocks / 6));
  return first >= least && second >= least && third >= least && first >= third / 2;
}

/** What was allocated at first is there as well as what came after it. */
function mayLeak(survivors: SiteSurvivors | undefined): boolean {
  if (!survivors?.thirds) return false;
  const [first, second] = survivors.thirds;
  return first >= LEAST_KEPT && second >= LEAST_KEPT && second >= first / 2 && first >= second / 2;
}

/** Of what nobody gives back almost nothing is old. */
function turnsOver(survivors: SiteSurvivors | undefined): boolean {
  if (!survivors?.thirds) return false;
  const [first, second, third] = survivors.thirds;
  return first + second + third >= LEAST_SAMPLED && first + second < third / 4;
}

type Shares = Readonly<Record<Keeper, number>>;

/** By bytes, of all that was looked up. */
function sharesOf(survivors: SiteSurvivors | undefined): Shares {
  const shares: Record<Keeper, number> = {
    freed: 0,
    reclaimable: 0,
    process: 0,
    queued: 0,
    kernel: 0,
    unreferenced: 0,
    unknown: 0,
  };
  if (!survivors || survivors.bytes === 0) return shares;
  for (const { keeper, bytes } of survivors.places) shares[keeper] += bytes / survivors.bytes;
  return shares;
}

function verdictOf(verdict: LeakVerdict, reason: LeakReason): Judged {
  return { verdict, reason };
}
