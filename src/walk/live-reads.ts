import { KernelError, ReadError } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';

/** Maximum number of attempts to read a list: a running kernel changes its lists all the time. */
const TRIES = 200;

/** Reads changing data of a running kernel until it is consistent. A dump is read once. */
export function readUntilConsistent<Found>(kernel: Kernel, read: () => Found, most = TRIES): Found {
  for (let tries = kernel.facts.live ? most : 1; ; tries--) {
    const forget = kernel.noteReads();
    try {
      return read();
    } catch (error) {
      if (tries <= 1 || !(error instanceof KernelError || error instanceof ReadError)) throw error;
    } finally {
      forget();
    }
  }
}

/** Reads the current memory of a running kernel, even if it was read before. */
export function readFresh<Found>(kernel: Kernel, read: () => Found): Found {
  const forget = kernel.noteReads();
  try {
    read();
  } finally {
    forget();
  }
  return read();
}

const FOUND = new WeakMap<Kernel, Map<unknown, unknown>>();

/**
 * Returns the result of a walk, and walks a dump only once for all callers. A live kernel changes: it is
 * walked each time.
 */
export function oncePerDump<Found>(kernel: Kernel, walk: (kernel: Kernel) => Found): Found {
  if (kernel.facts.live) return walk(kernel);
  const kept = FOUND.get(kernel) ?? new Map<unknown, unknown>();
  FOUND.set(kernel, kept);
  if (!kept.has(walk)) kept.set(walk, walk(kernel));
  return kept.get(walk) as Found;
}

/** Makes the next caller walk again, for a kernel whose memory was changed intentionally. */
export function forgetFound(kernel: Kernel): void {
  FOUND.delete(kernel);
}
