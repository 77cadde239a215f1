import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { StructReader } from '../struct-reader.js';

/**
 * Addresses of the `struct net` of every network namespace (net/core/net_namespace.c).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link TornList}; {@link ReadError}
 */
export function* netNamespaces(kernel: Kernel): Generator<bigint> {
  const offset = BigInt(new StructReader(kernel, 'net', ['list']).offset('list'));
  for (const node of listNodes(kernel, needSymbol(kernel, 'net_namespace_list'))) {
    yield node - offset;
  }
}
