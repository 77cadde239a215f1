import type { Held, Losses, Reading, Sample, Survivor } from '../recording.js';
import type { AllocationSink } from '../sink.js';

/** Bounds of who follows. */
export interface FollowBounds {
  /** Allocations (and parts of them that are held) that are kept, beyond which new ones are dropped. */
  readonly maxBlocks: number;
}

/** Names the site of a stack, by its number; {@link NO_STACK} and {@link OTHER_STACK} too. */
export type SiteOf = (stack: number) => string;

/** What survivors are told with. */
export interface SurvivorOrder {
  readonly max: number;
  readonly siteOf: SiteOf;
  /** Nanoseconds on the trace's clock when the recording began. */
  readonly began: number;
  /** Of objects: bits 52 … 63 of their addresses, in place. Frames: 0. */
  readonly upper: bigint;
  /** Name of a thread; null: not known. */
  readonly commandOf: (tid: number) => string | null;
}

/** Some survivors, and how many more there are. */
export interface Survivors {
  readonly survivors: readonly Survivor[];
  readonly leftOut: number;
}

/** How much was allocated in all, of frames or bytes: scaled, with its interval. */
export type Total = Pick<Held, 'bytes' | 'low' | 'high'>;

/** Follows allocations of a sample until they are freed. Memory is bounded. */
export interface Follower extends AllocationSink {
  readonly sample: Sample;
  /** What is kept now, to be held against `maxBlocks`. */
  readonly kept: number;
  readonly losses: Losses;
  /**
   * Follows less from now on.
   *
   * @throws {RangeError} a sample that is not part of the one before
   */
  narrow(sample: Sample): void;
  /** @param at milliseconds since the recording began */
  reading(at: number, siteOf: SiteOf): Reading;
  survivors(order: SurvivorOrder): Survivors;
}
