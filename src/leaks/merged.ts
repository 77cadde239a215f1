import { ownFrames, type Site, type SiteFrame } from '../records/allocation-sites.js';
import type { Held, Reading, Recording } from './recording.js';

/**
 * Merges stacks that differ only beyond the point where a CPU was interrupted into one site: a driver
 * receives packets on top of any interrupted code.
 */
export function merged(recording: Recording): Recording {
  const sites = new Map<string, Site>();
  const keys = new Map<string, string>();
  /** The first id by common key. */
  const known = new Map<string, string>();
  for (const [id, site] of recording.sites) {
    const frames = site.kind === 'stack' ? ownFrames(site.frames) : site.frames;
    // Functions without a name may be the same or not.
    const isNamed = frames.length > 0 && frames.every(({ symbol, line }) => symbol ?? line);
    const common = isNamed ? `${site.kind} ${frames.map(frameKey).join(';')}` : `id ${id}`;
    const to = known.get(common) ?? id;
    known.set(common, to);
    keys.set(id, to);
    if (to === id) sites.set(id, { ...site, frames });
  }
  if (sites.size === recording.sites.size) return { ...recording, sites };
  const of = (id: string) => keys.get(id) ?? id;
  return {
    ...recording,
    sites,
    readings: recording.readings.map((reading) => mergedReading(reading, of)),
    survivors: recording.survivors.map((one) => ({ ...one, site: of(one.site) })),
  };
}

function frameKey({ symbol, offset, module, line }: SiteFrame): string {
  return `${module ?? ''}!${symbol ?? ''}+${offset ?? ''}@${line ?? ''}`;
}

function mergedReading(reading: Reading, of: (id: string) => string): Reading {
  const sums = new Map<string, Held>();
  for (const [id, one] of reading.held) {
    const to = of(id);
    const sum = sums.get(to);
    sums.set(to, sum === undefined ? one : sumHeld(sum, one));
  }
  return { ...reading, held: sums };
}

/** Samples of two sites are independent: variances add up. */
function sumHeld(one: Held, other: Held): Held {
  const bytes = one.bytes + other.bytes;
  const reach = (end: 'low' | 'high') => Math.hypot(one.bytes - one[end], other.bytes - other[end]);
  const orNull = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);
  return {
    bytes,
    blocks: orNull(one.blocks, other.blocks),
    low: bytes - reach('low'),
    high: bytes + reach('high'),
    sampled: orNull(one.sampled, other.sampled),
  };
}
