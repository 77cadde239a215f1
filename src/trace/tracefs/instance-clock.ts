import type { TraceInstance } from './instance.js';

/** What is 0 of all times, and how long ago that was, nanoseconds. */
export function clockOf(instance: TraceInstance): {
  readonly origin: bigint;
  readonly now: () => number;
} {
  const before = process.hrtime.bigint();
  const origin = instance.now;
  const middle = (before + process.hrtime.bigint()) / 2n;
  return { origin, now: () => Number(process.hrtime.bigint() - middle) };
}
