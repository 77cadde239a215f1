import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol, numaNodes } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';

/**
 * Addresses of every `pglist_data`, which describes the memory of a NUMA node.
 *
 * @throws {KernelError} `no-symbols`, `damaged`; {@link ReadError}
 */
export function memoryNodes(kernel: Kernel): bigint[] {
  return numberedNodes(kernel).map(({ node }) => node);
}

/** The same, with the numbers of the nodes. @throws as {@link memoryNodes} */
export function numberedNodes(
  kernel: Kernel,
): { readonly number: number; readonly node: bigint }[] {
  const single = kernel.symbol('contig_page_data');
  if (single !== undefined) return [{ number: 0, node: single }];
  const at = needSymbol(kernel, 'node_data');
  const table = readPartOf(kernel, 'node_data', at, at, 8 * numaNodes(kernel));
  const all = Array.from({ length: table.byteLength / 8 }, (_, number) => ({
    number,
    node: table.getBigUint64(8 * number, true),
  }));
  return all.filter(({ node }) => node !== 0n);
}
