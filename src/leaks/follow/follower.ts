import type { Losses, Reading, Sample, Survivor, Unseen } from '../recording.js';
import type { AllocationSink } from '../site-frames.js';
import type { Allocations } from './allocations.js';

/** Bounds of a follower. */
export interface FollowBounds {
  /** Maximum number of held allocations, and held parts of them; further ones are dropped. */
  readonly maxBlocks: number;
}

/** Returns the site id of a stack number, including {@link NO_STACK} and {@link OTHER_STACK}. */
export type SiteOf = (stack: number) => string;

/** Facts recorded for each survivor. */
export interface SurvivorOrder {
  readonly max: number;
  readonly siteOf: SiteOf;
  /** Nanoseconds on the trace's clock when the recording began. */
  readonly began: number;
  /** Bits 52 … 63 of object addresses, in place; 0 for frames. */
  readonly upper: bigint;
  /** Returns the name of a thread; null if unknown. */
  readonly commandOf: (tid: number) => string | null;
}

/** Some survivors, and the number of the others. */
export interface Survivors {
  readonly survivors: readonly Survivor[];
  readonly leftOut: number;
}

/** Total amount allocated, in frames or bytes: scaled, with its interval. */
export type Total = Pick<Unseen, 'traced' | 'low' | 'high'>;

/** Follows allocations of a sample until they are freed. Memory is bounded. */
export interface Follower extends AllocationSink {
  readonly sample: Sample;
  /** Current number, limited by `maxBlocks`. */
  readonly kept: number;
  readonly losses: Losses;
  /**
   * Restricts the sample from now on.
   *
   * @throws {RangeError} the new sample is not part of the previous one
   */
  narrow(sample: Sample): void;
  /** @param at milliseconds since the recording began */
  reading(at: number, siteOf: SiteOf): Reading;
  survivors(order: SurvivorOrder): Survivors;
}

/** Losses of a follower so far. */
export class LossesCount {
  unknownFrees = 0;
  missedFrees = 0;
  withoutStack = 0;
  dropped = 0;
  #overrun: number | null = 0;

  /** @param count null: unknown */
  lost(count: number | null): void {
    this.#overrun = count === null || this.#overrun === null ? null : this.#overrun + count;
  }

  get losses(): Losses {
    const { unknownFrees, missedFrees, withoutStack, dropped } = this;
    return { overrun: this.#overrun, unknownFrees, missedFrees, withoutStack, dropped };
  }
}

const NS_PER_MS = 1e6;

/**
 * A survivor, of frames or objects. There are tens of thousands, and a plain literal takes a tenth of the
 * memory of one with spreads.
 *
 * @param order log2 of its frames; null for an object
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
