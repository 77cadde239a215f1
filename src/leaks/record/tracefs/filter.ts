import type { Sample } from '../../recording.js';
import type { EventKind } from './kinds.js';

/** Blocks of this order and above are in every sample: they have frames of each kind. */
const MOST_ORDER = 64;

/** No condition: the filter lets all through. */
const EVERY = '0';

/** What the kernel is to let through of an event. */
export function eventFilter(kind: EventKind, sample: Sample, minOrder: number): string {
  if (kind === 'object-allocated' || kind === 'object-freed') return objectFilter(sample);
  return kind === 'pool-page' ? frameFilter(sample) : blockFilter(sample, minOrder);
}

/**
 * What the kernel is to let through of blocks of page frames: each that has a frame of the sample. In its filters
 * `pfn & m` means "not zero". A block of order N starts at a multiple of 2^N, so the N lowest bits of its frames
 * have all values: they are left out.
 *
 * A clause for a higher order is tried only where the order is as high, so that most events cost one comparison.
 *
 * @param leastOrder smaller blocks are left out; 0: none
 */
export function blockFilter(sample: Sample, leastOrder = 0): string {
  const low = lowestBit(sample.mask);
  const high = low + Math.log2(sample.oneIn);
  let text = '';
  for (let order = high; order >= low && sample.oneIn > 1; order--) {
    const clause = order === high ? '' : bitsAre('pfn', sample, order);
    // Built from the inside: the highest order's has no condition but the order.
    const inner = [clause, text].filter((part) => part !== '').join(' || ');
    text = order === low ? inner : nested(order, inner);
  }
  const ofOrder = leastOrder > 0 && leastOrder < MOST_ORDER ? `order >= ${leastOrder}` : '';
  return both(ofOrder, text);
}

/** The same of one frame, for events that tell no order. */
export function frameFilter(sample: Sample): string {
  return sample.oneIn === 1 ? EVERY : bitsAre('pfn', sample, 0);
}

/** Of objects: whose address is in the sample. */
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

/** @param from bits below are left out */
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
