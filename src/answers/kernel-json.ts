import type { KernelFacts } from '../kernel/kernel.js';
import type { SkbJson } from './schema.js';

/** What every answer says of its kernel. */
export function kernelJson({
  release,
  arch,
  pageSize,
  source,
  engine,
}: KernelFacts): SkbJson['kernel'] {
  return { release, arch, pageSize, source, engine };
}
