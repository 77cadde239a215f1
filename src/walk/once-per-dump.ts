import type { Kernel } from '../kernel/kernel.js';

const FOUND = new WeakMap<Kernel, Map<unknown, unknown>>();

/**
 * Returns what a walk finds, and walks a dump only once for all callers. The memory of a live kernel changes: it is
 * read again each time.
 */
export function oncePerDump<Found>(kernel: Kernel, walk: (kernel: Kernel) => Found): Found {
  if (kernel.facts.live) return walk(kernel);
  const found = FOUND.get(kernel) ?? new Map<unknown, unknown>();
  FOUND.set(kernel, found);
  if (!found.has(walk)) found.set(walk, walk(kernel));
  return found.get(walk) as Found;
}

/** Makes the next caller walk again: for a kernel whose memory was changed on purpose. */
export function forgetFound(kernel: Kernel): void {
  FOUND.delete(kernel);
}
