import type { KernelIdentity } from '../contracts/common.js';
import type { KernelFacts } from './kernel.js';

/** Returns the kernel facts that every answer contains. */
export function kernelIdentity({ release, arch, pageSize, source, engine }: KernelFacts): KernelIdentity {
  return { release, arch, pageSize, source, engine };
}

/** Facts from VMCOREINFO or the dump's header, before memory is interpreted. Hostile. */
export interface NotedFacts {
  readonly release?: string | undefined;
  readonly buildId?: string | undefined;
  /** Seconds since 1970. */
  readonly crashTime?: number | undefined;
}
