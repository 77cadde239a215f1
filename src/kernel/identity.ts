import type { KernelIdentity } from '../contracts/common.js';
import type { KernelFacts } from './kernel.js';

/** Returns the kernel facts that every answer contains. */
export function kernelIdentity({ release, arch, pageSize, source, engine }: KernelFacts): KernelIdentity {
  return { release, arch, pageSize, source, engine };
}
