import { ReadError } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Pointer } from '../../kernel/pointer.js';
import type { PagePool } from '../pages/page-pool.js';
import type { SlabCache } from '../pages/slab-caches.js';
import { incompleteness, type WarningCode } from '../warnings.js';

/**
 * Receives all memory that skbs pin, reference by reference; it counts each thing once.
 *
 * Contents of a `skb_shared_info` are held by all clones of the skb together: `via` names the shared info if
 * there are clones, and is undefined for a single skb.
 */
export interface SkbSink {
  /** Receives a reference to a page allocation, from a frag or as a linear head; see PageBlock. */
  page(
    frame: number,
    order: number | undefined,
    references: number,
    via: bigint | undefined,
    pool?: PagePool,
  ): void;
  /** Receives a page that frags point to without holding a reference. */
  lentPage(frame: number, order: number | undefined, references: number, pool?: PagePool): void;
  /**
   * Receives a slab slot: an skb itself, or a linear head. `references` is the number of references that must
   * be dropped before the slot is freed, including this one.
   */
  slot(address: bigint, cache: SlabCache, references: number, via: bigint | undefined): void;
  /**
   * Receives a slot with only this reference and without clones: no other path leads to it. `place`: its
   * current location.
   */
  soleSlot(cache: SlabCache, place: bigint | Pointer): void;
  /**
   * Reports a clone of an skb: one of `clones` skbs that share the info at this address. Returns false if a
   * clone was reported before, so the memory of the info is already counted.
   */
  clone(sharedInfo: bigint, clones: number): boolean;
  /** Receives the number of frags in the shared info of clones, including its frag_list. */
  cloneFrags(sharedInfo: bigint, frags: number): void;
  /** Reports that a part of the memory that an skb pins is unknown. */
  incomplete(code: WarningCode, message: string): void;
  /** An anomaly that does not affect the figures. */
  remark(code: WarningCode, message: string): void;
}

/**
 * Reports that a step failed because memory is missing or damaged. The message about missing memory is the
 * same for all skbs that refer to it, so it is listed once.
 */
export function reportTo(skb: bigint, what: string, error: unknown, sink: SkbSink): void {
  const code = incompleteness(error);
  const { message } = error as Error;
  const where = error instanceof ReadError ? '' : `skb ${hex(skb)}: ${what}: `;
  sink.incomplete(code, `${where}${message}`);
}
