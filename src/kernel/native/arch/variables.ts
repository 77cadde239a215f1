import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { EarlyKernel } from './arch.js';
import type { RegionSearch } from './region-search.js';

/** Flags in the low bits of `mem_section.section_mem_map`: at most 6 (linux/mmzone.h). */
const SECTION_FLAGS = 63n;

/** A 64-bit variable of the kernel, or undefined where it has no symbol or cannot be read. */
export function readVariable(
  kernel: EarlyKernel,
  name: string,
  search: RegionSearch,
): bigint | undefined {
  const address = kernel.symbol(name);
  return address === undefined ? undefined : readWord(kernel, name, address, search);
}

function readWord(
  kernel: EarlyKernel,
  name: string,
  address: bigint,
  search: RegionSearch,
): bigint | undefined {
  return search.try(name, () => kernel.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true));
}

/**
 * Base of the array of `struct page` by the sparse memory model: `section_mem_map` holds it for each
 * section (sparse_encode_mem_map in mm/sparse.c). Undefined where the sections cannot be read.
 *
 * @param frame a page frame that the kernel has
 */
export function pagesOfSection(
  kernel: EarlyKernel,
  info: Vmcoreinfo,
  pageSize: number,
  frame: number,
  search: RegionSearch,
): bigint | undefined {
  const size = info.size('mem_section');
  const member = info.offset('mem_section.section_mem_map');
  const bits = info.number('SECTION_SIZE_BITS');
  const roots = info.length('mem_section');
  const table = info.symbol('mem_section');
  if (!size || member === undefined || !bits || !table || !roots) return undefined;
  if (bits < 0n || bits > 40n || 2n ** bits < pageSize) return undefined;
  const section = Math.floor(frame / (2 ** Number(bits) / pageSize));
  const perRoot = Math.floor(pageSize / size);
  if (perRoot === 0) return undefined;
  const root = Math.floor(section / perRoot);
  if (root >= roots) return undefined;
  const sections = readWord(kernel, 'mem_section', table + BigInt(root * 8), search);
  if (sections === undefined) return undefined;
  const at = sections + BigInt((section % perRoot) * size + member);
  const map = readWord(kernel, 'struct mem_section', at, search);
  // Bit 0: present; bit 1: has a memory map.
  return map !== undefined && (map & 3n) === 3n ? map & ~SECTION_FLAGS : undefined;
}
