import type { Survivor } from '../recording.js';
import type { Allocations } from './allocations.js';
import type { SurvivorOrder } from './follower.js';

const NS_PER_MS = 1e6;

/**
 * A survivor, of frames or objects. There are tens of thousands: a literal without parts has a tenth of what one
 * with them takes.
 *
 * @param order log2 of its frames; null: it is an object
 */
export function survivorOf(
  allocations: Allocations,
  number: number,
  { siteOf, began, commandOf }: SurvivorOrder,
  place: bigint,
  bytes: number,
  order: number | null,
): Survivor {
  const tid = allocations.tid(number);
  return {
    site: siteOf(allocations.stack(number)),
    place,
    bytes,
    order,
    since: (allocations.time(number) - began) / NS_PER_MS,
    tid,
    command: commandOf(tid),
  };
}
