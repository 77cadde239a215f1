import type { KernelFacts } from '../kernel/kernel.js';
import type { SkbJson } from './schema.js';

/** Returns the kernel facts that every answer contains. */
export function kernelJson({ release, arch, pageSize, source, engine }: KernelFacts): SkbJson['kernel'] {
  return { release, arch, pageSize, source, engine };
}
