import { HostError } from '../../base/errors/host.js';
import { liveHost } from '../../host/live.js';
import { type KernelSymbolTable, readKernelSymbols } from '../../host/proc/kallsyms.js';
import { moduleRanges } from '../../host/proc/module-ranges.js';

/** Null: they cannot be read, and stacks remain without names. */
export function kernelSymbols(): KernelSymbolTable | null {
  try {
    return readKernelSymbols(liveHost, moduleRanges(loadedModules() ?? ''));
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

/** Text of /proc/modules; null: this kernel has none, or it cannot be read. */
export function loadedModules(): string | null {
  try {
    return liveHost.readText('/proc/modules');
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}
