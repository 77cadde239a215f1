import { HostError } from '../host/error.js';
import { liveHost } from '../host/live.js';
import { type KernelSymbols, readKernelSymbols } from '../host/proc/kallsyms.js';

/** Null: they cannot be read, and stacks remain without names. */
export function kernelSymbols(): KernelSymbols | null {
  try {
    return readKernelSymbols(liveHost);
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}
