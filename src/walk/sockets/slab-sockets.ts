import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { type PageLook, SlabScan } from '../pages/slab-scan.js';
import { SlotUse } from '../pages/slot-use.js';
import type { Warnings } from '../warnings.js';
import { CacheWitness } from './cache-witness.js';
import type { FoundSockets } from './found-sockets.js';
import { inodeSlots } from './inode-slots.js';
import { protocols } from './protocols.js';
import { SockSlots } from './sock-slots.js';
import { checkUnixCount } from './unix-count.js';

/**
 * Finds sockets in the slabs of socks and of sockets, whoever has them.
 *
 * Slots are taken for sockets by what is in them, in use or free: a free sock's reference count is
 * 0, and a closed socket has neither operations nor a sock that points back at it. Caches are
 * shared by what is alike in size, so a slot may hold something else altogether.
 *
 * @param progress told now and then which part of the slabs is done, 0 to 1
 * @param look sees every page frame on the way
 */
export function findInSlabs(
  kernel: Kernel,
  found: FoundSockets,
  warnings: Warnings,
  progress?: (part: number) => void,
  look?: PageLook,
): void {
  const registered = protocols(kernel);
  const witness = new CacheWitness(kernel, registered, found.socks());
  const use = new SlotUse(kernel, warnings);
  const inodes = inodeSlots(kernel, registered, found, use);
  const socks = new SockSlots(kernel, registered, use);
  const caches = new Set(socks.caches);
  if (inodes) caches.add(inodes.cache);
  for (const slot of new SlabScan(kernel, warnings).slots(caches, progress, look)) {
    const { cache, object } = slot;
    try {
      if (cache === inodes?.cache) {
        inodes.look(slot);
      } else if (socks.isSock(slot)) {
        witness.met(object);
        found.note(object, 'slab');
      }
    } catch (error) {
      const message = `a slab slot at ${hex(object)}: ${(error as Error).message}`;
      warnings.add(incompleteness(error), message);
    }
  }
  if (kernel.facts.live) return;
  witness.check(warnings);
  checkUnixCount(kernel, found.socks(), socks.leaving, warnings);
}
