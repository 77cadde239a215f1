import type { Vmcoreinfo } from '../vmcoreinfo.js';
import type { EarlyKernel } from './arch.js';
import type { RegionSearch } from './region-search.js';
import { SectionTable } from './section-table.js';

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
 * Base of the array of `struct page` by the section of a page frame. Undefined where that cannot be
 * read.
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
  return SectionTable.of(info, pageSize)?.pagesOf(frame, (what, address) =>
    readWord(kernel, what, address, search),
  );
}
