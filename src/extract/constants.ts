import { ReadError } from '../kernel/error.js';
import type { NativeKernel } from '../kernel/native/parts.js';
import type { KeptPages } from './kept-pages.js';

/** Larger than any kernel's constants, in bytes. */
const MOST_BYTES = 256n << 20n;

/**
 * Keeps whole what is kept in part of the kernel image's constants: they are the same in every copy of
 * this build and nobody's data, and a search through them must find tables whole. Variables that
 * become constants after boot (`__ro_after_init`) are not among them.
 */
export function keepConstantsWhole(kernel: NativeKernel, kept: KeptPages): void {
  const pageSize = BigInt(kernel.facts.pageSize);
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (start === undefined || end === undefined || end - start > MOST_BYTES) return;
  const variablesStart = kernel.symbol('__start_ro_after_init') ?? end;
  const variablesEnd = kernel.symbol('__end_ro_after_init') ?? end;
  const touched = new Set(kept.pages);
  for (let at = up(start, pageSize); at + pageSize <= end; at += pageSize) {
    if (at + pageSize > variablesStart && at < variablesEnd) continue;
    const physical = kernel.physicalOf(at);
    if (physical === undefined) continue;
    const page = Math.floor(physical / kernel.facts.pageSize);
    if (touched.has(page) && isThere(kernel, at)) kept.keepWhole(page);
  }
}

function isThere(kernel: NativeKernel, page: bigint): boolean {
  try {
    return kernel.read(page, kernel.facts.pageSize).byteLength > 0;
  } catch (error) {
    if (error instanceof ReadError) return false;
    throw error;
  }
}

function up(address: bigint, step: bigint): bigint {
  return ((address + step - 1n) / step) * step;
}
