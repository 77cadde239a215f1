import type { Kernel } from '../kernel/kernel.js';

const FOUND = new WeakMap<Kernel, Map<unknown, unknown>>();

/**
 * Returns the result of a walk, and walks a dump only once for all callers. A live kernel changes: it is
 * walked each time.
 */
export function oncePerDump<Found>(kernel: Kernel, walk: (kernel: Kernel) => Found): Found {
  if (kernel.facts.live) return walk(kernel);
  const found = FOUND.get(kernel) ?? new Map<unknown, unknown>();
  FOUND.set(kernel, found);
  if (!found.has(walk)) found.set(walk, walk(kernel));
  return found.get(walk) as Found;
}

/** Makes the next caller walk again, for a kernel whose memory was changed intentionally. */
export function forgetFound(kernel: Kernel): void {
  FOUND.delete(kernel);
}
