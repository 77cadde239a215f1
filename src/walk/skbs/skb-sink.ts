import { ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Pointer } from '../../kernel/pointer.js';
import { incompleteness } from '../incompleteness.js';
import type { PagePool } from '../pages/pool-room.js';
import type { SlabCache } from '../pages/slab-caches.js';
import type { WarningCode } from '../warnings.js';

/**
 * Told of all that skbs pin, reference by reference; the receiver counts each thing once.
 *
 * What hangs in a `skb_shared_info` is held by all clones of the skb together: `via` names the
 * shared info where there are clones, and is undefined where the skb is the only one.
 */
export interface SkbSink {
  /** A reference to a page allocation, by a frag or as a linear head; see PageBlock. */
  page(
    frame: number,
    order: number | undefined,
    references: number,
    via: bigint | undefined,
    pool?: PagePool,
  ): void;
  /** A page that frags point into without a reference of their own. */
  lentPage(frame: number, order: number | undefined, references: number, pool?: PagePool): void;
  /**
   * A slot of a slab: an skb itself, or a linear head. `references` is how many must be dropped
   * before the slot is free; this is one of them.
   */
  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void;
  /** A slot that this reference alone holds, and no clone: nobody else can lead to it. `place`: where it is now. */
  soleSlot(cache: SlabCache, place: bigint | Pointer): void;
  /**
   * A clone of an skb was met, one of so many that share the info at this address. Gives false if
   * one was met before: then what hangs in it has been told.
   */
  clone(sharedInfo: bigint, clones: number): boolean;
  /** How many frags hang in the info of clones, those of its frag_list included. */
  cloneFrags(sharedInfo: bigint, frags: number): void;
  /** Something that an skb pins could not be told. */
  incomplete(code: WarningCode, message: string): void;
  /** Something odd that leaves the figures whole. */
  remark(code: WarningCode, message: string): void;
}

/**
 * Tells that a step failed, for memory that is missing or damaged. What is missing is the same for all
 * skbs that lead there, and told once.
 */
export function tell(skb: bigint, what: string, error: unknown, sink: SkbSink): void {
  const code = incompleteness(error);
  const { message } = error as Error;
  const where = error instanceof ReadError ? '' : `skb ${hex(skb)}: ${what}: `;
  sink.incomplete(code, `${where}${message}`);
}
