import { KernelError, ReadError } from '../base/errors/kernel.js';
import type { Kernel } from '../kernel/kernel.js';

/** A running kernel changes its lists all the time: so often is one read before it is given up. */
const TRIES = 200;

/** Reads what a running kernel changes meanwhile until it agrees with itself. Of a dump it is read once. */
export function again<Found>(kernel: Kernel, read: () => Found, most = TRIES): Found {
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

/** Reads memory of a running kernel as it is now, also where it was read before. */
export function anew<Found>(kernel: Kernel, read: () => Found): Found {
  const forget = kernel.noteReads();
  try {
    read();
  } finally {
    forget();
  }
  return read();
}
