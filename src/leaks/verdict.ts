import type { LeakReason, LeakVerdict } from '../records/leak-codes.js';
import { MIN_WINDOWS, type SiteGrowth } from './site-growth.js';
import type { SiteSurvivors } from './site-survivors.js';
import { type Keeper, keeperOf } from './survivors/lookup.js';

export interface Judged {
  readonly verdict: LeakVerdict;
  readonly reason: LeakReason;
}

/** Minimum number of sampled blocks for a verdict. */
const MIN_SAMPLED = 8;

/** Minimum number of remaining blocks from each third of the time, for a leak. */
const MIN_KEPT = 2;

/** Maximum share of freed blocks at the lookup: leaked blocks are never freed. */
const MAX_GONE = 0.25;

/** Observed blocks of a site, not scaled; null: the source does not count them. */
export type ObservedBlocks = number | null;

/**
 * Judges one site. It is no leak if an owner may free the memory, if growth slows down, or if its old blocks
 * are gone: merely long-lived memory must not be reported.
 *
 * @param keepsPace frees of older blocks of its order or cache keep pace with its allocations
 */
export function judge(
  { growth, course, last, windows, lately }: SiteGrowth,
  survivors: SiteSurvivors | undefined,
  seen: ObservedBlocks,
  keepsPace = false,
): Judged {
  const shares = sharesOf(survivors);
  if (survivors && survivors.bytes > 0 && shares.freed === 1) return verdictOf('transient', 'freed');
  if (windows < MIN_WINDOWS || growth === null) return verdictOf('unknown', 'too-few-windows');
  if (seen !== null && seen < MIN_SAMPLED) return verdictOf('unknown', 'sample-too-small');
  // A site that began recently resembles turnover: it has no old blocks.
  const mayGoOn = lately && (last.blocks ?? MIN_SAMPLED) >= MIN_SAMPLED;
  if (turnsOver(survivors))
    return mayGoOn ? verdictOf('unknown', 'inconclusive') : verdictOf('transient', 'turns-over');
  // A leak may be hidden by fluctuations.
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
  return survivors.maybeFree >= survivors.blocks * MAX_GONE ? verdictOf('unknown', 'maybe-free') : judged;
}

function grows(survivors: SiteSurvivors, shares: Shares, throughout: boolean): Judged {
  const half = (1 - shares.freed) / 2;
  if (shares.queued + shares.unreferenced >= half) {
    const steady = throughout && isSteady(survivors) && shares.freed < MAX_GONE;
    if (!steady) return verdictOf('growing', 'unsteady');
    return verdictOf('leaking', shares.queued > shares.unreferenced ? 'queued' : 'unreferenced');
  }
  const most = (['reclaimable', 'process', 'kernel', 'unknown'] as const).toSorted((a, b) => shares[b] - shares[a])[0]!;
  return verdictOf(
    'growing',
    {
      ...({ reclaimable: 'reclaimable', process: 'process-owned', kernel: 'kernel-owned' } as const),
      unknown: 'location-unknown' as const,
    }[most],
  );
}

/** Leaked blocks remain from every third of the time. */
function isSteady({ thirds, blocks }: SiteSurvivors): boolean {
  if (thirds === null) return true;
  const [first, second, third] = thirds;
  // Allows for a few large blocks, about one per window.
  const least = Math.min(MIN_KEPT, Math.ceil(blocks / 6));
  return first >= least && second >= least && third >= least && first >= third / 2;
}

/** Early blocks remain like later ones. */
function mayLeak(survivors: SiteSurvivors | undefined): boolean {
  if (!survivors?.thirds) return false;
  const [first, second] = survivors.thirds;
  return first >= MIN_KEPT && second >= MIN_KEPT && second >= first / 2 && first >= second / 2;
}

/** Almost no held block is old. */
function turnsOver(survivors: SiteSurvivors | undefined): boolean {
  if (!survivors?.thirds) return false;
  const [first, second, third] = survivors.thirds;
  return first + second + third >= MIN_SAMPLED && first + second < third / 4;
}

type Shares = Readonly<Record<Keeper, number>>;

/** Shares of all looked-up blocks, in bytes. */
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
  for (const place of survivors.places) shares[keeperOf(place)] += place.bytes / survivors.bytes;
  return shares;
}

function verdictOf(verdict: LeakVerdict, reason: LeakReason): Judged {
  return { verdict, reason };
}
