import { formatSize } from '../../base/size.js';
import type { Freed } from '../../contracts/sockets.js';

/**
 * Returns sentences: how much a kill frees, and why there are bounds.
 *
 * @param pinnedBytes amount in question; undefined result if it is 0
 * @param live the process may still run
 * @param ofSocket the memory in question is that of one socket; otherwise that of all sockets of the process
 */
export function killingText(
  pid: number,
  freed: Freed,
  pinnedBytes: number,
  live: boolean,
  ofSocket = false,
): string | undefined {
  const { low, high, keptByPools } = freed;
  const what = ofSocket ? 'the memory of this socket' : 'socket memory';
  const loss = ` and ${live ? 'lose' : 'lost'} its unread data`;
  const killing = `Killing pid ${pid} would ${live ? 'free' : 'have freed'}`;
  if (high === null) {
    if (low > 0) return `${killing} at least ${formatSize(low)} of ${what}${loss}.`;
    return `How much killing pid ${pid} would ${live ? 'free' : 'have freed'} is unknown.`;
  }
  const kept =
    keptByPools.low > 0 ? ` The driver’s page pool keeps ${formatSize(keptByPools.low)} for new packets.` : '';
  if (high === 0) {
    if (pinnedBytes === 0) return undefined;
    if (kept) return `${killing} none of it.${kept}`;
    return `${killing} none of it: all of it has another holder.`;
  }
  const why = reasonsOf(freed, ofSocket ? pid : undefined).join(', ');
  const about = low < high && formatSize(low) === formatSize(high) ? 'about ' : '';
  const range = low === 0 ? `up to ${formatSize(high)}` : `${about}${rangeOf(low, high)}`;
  return `${killing} ${range} of ${what}${loss}.${why === '' ? '' : ` Not certain to be freed: ${why}.`}${kept}`;
}

/** A cell of the table of processes. */
export function freedCell(freed: Freed | null): string {
  if (freed === null) return '-';
  const { low, high } = freed;
  return high === null ? `≥ ${formatSize(low)}` : rangeOf(low, high);
}

/** Why some cells show a range, and what page pools keep: one line; undefined: neither applies. */
export function freedLegend(all: readonly (Freed | null)[]): string | undefined {
  const ranges = all.filter((freed) => freedCell(freed).includes(' to '));
  const some = (part: keyof typeof LEGEND) => ranges.some((freed) => (freed?.between?.[part] ?? 0) >= 1024);
  const reasons = (Object.keys(LEGEND) as (keyof typeof LEGEND)[]).filter(some);
  const kept = all.reduce((sum, freed) => sum + (freed?.keptByPools.low ?? 0), 0);
  const parts = [
    ...(reasons.length > 0
      ? [
          `FREED IF KILLED: the lower figure is certain; the unread data is lost. The upper one includes ${reasons.map((part) => LEGEND[part]).join(', ')}.`,
        ]
      : []),
    ...(kept > 0 ? ['Drivers’ page pools keep the pages that they have room for.'] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(' ');
}

const LEGEND = {
  shared: 'memory with other holders',
  pools: 'pages that page pools may keep',
  unsent: 'data that connections keep until it is acknowledged or times out',
  peers: 'unsent data of peers on this machine (so it may exceed PINNED)',
  uncertain: 'sockets with a reference of unknown origin',
} as const;

/** The parts of the difference; those below 1 KiB are left out. */
function reasonsOf({ between }: Freed, pid?: number): string[] {
  if (!between) return [];
  // What sockets of one process share is known where all of them are counted.
  const shared =
    pid === undefined
      ? 'that other processes or the kernel also hold'
      : `that other sockets or the kernel also hold (skb --pid ${pid} counts the sockets of this process together)`;
  const words = {
    shared: (size: string) => `${size} ${shared}`,
    pools: (size: string) => `${size} that the driver’s page pool may keep for new packets`,
    unsent: (size: string) => `${size} that connections keep until it is acknowledged or times out`,
    peers: (size: string) => `${size} of unsent data of peers on this machine`,
    uncertain: (size: string) => `${size} of sockets with a reference of unknown origin`,
  };
  return (Object.keys(words) as (keyof typeof words)[])
    .filter((part) => between[part] >= 1024)
    .map((part) => words[part](formatSize(between[part])));
}

function rangeOf(low: number, high: number): string {
  const [from, to] = [formatSize(low), formatSize(high)];
  return from === to ? to : `${from} to ${to}`;
}
