import type { Survivor } from '../recording.js';
import type { Allocations } from './allocations.js';
import type { SurvivorOrder } from './follower.js';

const NS_PER_MS = 1e6;

/** What is the same of frames and objects. */
export function survivorOf(
  allocations: Allocations,
  number: number,
  { siteOf, began, commandOf }: SurvivorOrder,
): Pick<Survivor, 'site' | 'since' | 'tid' | 'command'> {
  const tid = allocations.tid(number);
  return {
    site: siteOf(allocations.stack(number)),
    since: (allocations.time(number) - began) / NS_PER_MS,
    tid,
    command: commandOf(tid),
  };
}
