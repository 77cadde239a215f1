import type { Freed } from '../../account/freed.js';
import { formatSize } from './size.js';

/**
 * What a kill gives back, and why no single figure can be told: a sentence.
 *
 * @param pinnedBytes what is asked about; undefined: there is nothing to tell where that is 0
 */
export function killingText(pid: number, freed: Freed, pinnedBytes: number): string | undefined {
  const { low, high, keptByPools } = freed;
  const killing = `Killing pid ${pid}`;
  if (high === null) {
    if (low > 0) return `${killing} gives back at least ${formatSize(low)}.`;
    return `What killing pid ${pid} gives back cannot be told.`;
  }
  const kept =
    keptByPools.low > 0
      ? `the driver’s page pool keeps ${formatSize(keptByPools.low)} for new packets`
      : undefined;
  if (high === 0) {
    if (pinnedBytes === 0) return undefined;
    if (kept) return `${killing} gives none of it back: ${kept}.`;
    return `${killing} alone gives none of it back: something else has all of it open too.`;
  }
  const why = [...reasonsOf(freed), ...(kept ? [kept] : [])].join('; ');
  const range = low === 0 ? `up to ${formatSize(high)}` : rangeOf(low, high);
  return why === '' ? `${killing} gives back ${range}.` : `${killing} gives back ${range}: ${why}.`;
}

/** A cell of the table of processes. */
export function freedCell(freed: Freed | null): string {
  if (freed === null) return '-';
  const { low, high } = freed;
  return high === null ? `≥ ${formatSize(low)}` : rangeOf(low, high);
}

/** Why some of those have a range, and what pools keep of them: one line; undefined: none has. */
export function freedLegend(all: readonly (Freed | null)[]): string | undefined {
  const some = (part: keyof typeof LEGEND) =>
    all.some((freed) => (freed?.between?.[part] ?? 0) >= 1024);
  const reasons = (Object.keys(LEGEND) as (keyof typeof LEGEND)[]).filter(some);
  const kept = all.reduce((sum, freed) => sum + (freed?.keptByPools.low ?? 0), 0);
  const parts = [
    ...(reasons.length > 0
      ? [
          `FREED IF KILLED: the first figure is sure, the second has with it ${reasons.map((part) => LEGEND[part]).join(', ')}.`,
        ]
      : []),
    ...(kept > 0 ? ['What drivers’ page pools have room for they keep.'] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(' ');
}

const LEGEND = {
  shared: 'what others hold too',
  pools: 'what page pools may keep',
  unsent: 'what connections keep until it is acknowledged or given up',
  peers: 'what other ends on this machine have still to send (so it may exceed PINNED)',
  uncertain: 'sockets to which something refers that was not found',
} as const;

/** What the difference consists of; less than 1 KiB is not worth a word. */
function reasonsOf({ between }: Freed): string[] {
  if (!between) return [];
  const words = {
    shared: (size: string) => `${size} others hold too`,
    pools: (size: string) => `${size} the driver’s page pool may keep for new packets`,
    unsent: (size: string) => `${size} connections keep until it is acknowledged or given up`,
    peers: (size: string) => `${size} other ends have still to send`,
    uncertain: (size: string) =>
      `${size} is of sockets to which something refers that was not found`,
  };
  return (Object.keys(words) as (keyof typeof words)[])
    .filter((part) => between[part] >= 1024)
    .map((part) => words[part](formatSize(between[part])));
}

function rangeOf(low: number, high: number): string {
  const [from, to] = [formatSize(low), formatSize(high)];
  return from === to ? to : `${from} to ${to}`;
}
