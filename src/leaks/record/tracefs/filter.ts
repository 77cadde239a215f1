import { cpus } from 'node:os';
import { isHostError } from '../../../base/errors.js';
import type { HostSource } from '../../../host/host-source.js';
import { liveHost } from '../../../host/live.js';
import { slabLines } from '../../../host/proc/details.js';
import type { CacheUse, Sample } from '../../recording.js';
import type { EventKind } from './kinds.js';

/** Blocks of this order and above contain frames of each residue, so every sample includes them. */
const MOST_ORDER = 64;

/** No condition: the filter passes every event. */
const EVERY = '0';

/** The kernel's filter for an event. */
export function eventFilter(kind: EventKind, sample: Sample, minOrder: number): string {
  if (kind === 'object-allocated' || kind === 'object-freed') return objectFilter(sample);
  return kind === 'pool-page' ? frameFilter(sample) : blockFilter(sample, minOrder);
}

/**
 * Filter for blocks of page frames: passes each block that contains a frame of the sample. In kernel filters,
 * `pfn & m` means "not zero". A block of order N starts at a multiple of 2^N, so the N lowest bits of its
 * frames take all values and are ignored.
 *
 * The clause for a higher order is evaluated only if the order is at least that high, so that most events
 * cost one comparison.
 *
 * @param leastOrder smaller blocks are excluded; 0: none
 */
export function blockFilter(sample: Sample, leastOrder = 0): string {
  const low = lowestBit(sample.mask);
  const high = low + Math.log2(sample.oneIn);
  let text = '';
  for (let order = high; order >= low && sample.oneIn > 1; order--) {
    const clause = order === high ? '' : bitsAre('pfn', sample, order);
    // Built from the inside out: the highest order has no condition except the order.
    const inner = [clause, text].filter((part) => part !== '').join(' || ');
    text = order === low ? inner : nested(order, inner);
  }
  const ofOrder = leastOrder > 0 && leastOrder < MOST_ORDER ? `order >= ${leastOrder}` : '';
  return both(ofOrder, text);
}

/** The same for one frame, for events without an order. */
export function frameFilter(sample: Sample): string {
  return sample.oneIn === 1 ? EVERY : bitsAre('pfn', sample, 0);
}

/** Filter for objects: those whose address is in the sample. */
export function objectFilter(sample: Sample): string {
  return sample.oneIn === 1 ? EVERY : bitsAre('ptr', sample, 0);
}

function nested(order: number, inner: string): string {
  return inner === '' ? `order >= ${order}` : `(order >= ${order} && (${inner}))`;
}

function both(one: string, other: string): string {
  if (one === '') return other === '' ? EVERY : other;
  return other === '' ? one : `${one} && (${other})`;
}

/** @param from lower bits are ignored */
function bitsAre(field: string, { mask, residue }: Sample, from: number): string {
  const kept = (mask >> BigInt(from)) << BigInt(from);
  const zeros = kept & ~residue;
  const parts = zeros === 0n ? [] : [`!(${field} & 0x${zeros.toString(16)})`];
  for (let rest = kept & residue; rest !== 0n; rest &= rest - 1n)
    parts.push(`(${field} & 0x${(rest & -rest).toString(16)})`);
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(' && ')})`;
}

function lowestBit(mask: bigint): number {
  let bit = 0;
  while (bit < MOST_ORDER && ((mask >> BigInt(bit)) & 1n) === 0n) bit++;
  return bit;
}

/** Slabs that each CPU may keep, its current one and partial ones: their free objects count as in use. */
const SLABS_OF_CPU = 2;

/** Objects in use of each slab cache, from /proc/slabinfo; null if it cannot be read. */
export function cacheUse(
  source: Pick<HostSource, 'readText'> = liveHost,
  cpuCount = cpus().length,
): ReadonlyMap<string, CacheUse> | null {
  try {
    return new Map(
      slabLines(source).map(({ name, used, slotSize, slotsPerSlab }) => [
        name,
        { bytes: used * slotSize, slack: SLABS_OF_CPU * cpuCount * slotsPerSlab * slotSize },
      ]),
    );
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}
