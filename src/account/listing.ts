import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { type Warning, Warnings } from '../walk/warnings.js';

/** A list of the kernel's objects, and what it lacks. */
export interface Listing<Found> {
  readonly kernel: KernelFacts;
  readonly found: Found;
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** Reads a list, and collects its warnings. @throws as `read` */
export function listing<Found>(
  kernel: Kernel,
  read: (kernel: Kernel, warnings: Warnings) => Found,
): Listing<Found> {
  const warnings = new Warnings(kernel.doubts);
  const found = read(kernel, warnings);
  return { kernel: kernel.facts, found, complete: warnings.complete, warnings: warnings.list() };
}
