import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { AddressRange } from './percpu.js';

/** Maximum size of a range: BPF arenas have 4 GiB plus guards at both ends, per-CPU chunks less. */
const MOST_BYTES = 2 ** 33;

/**
 * The page frames behind a range of kernel addresses, page by page, by the kernel's page tables; unmapped
 * pages have none.
 *
 * @throws {KernelError} `unsupported-layout` if the engine walks no page tables, `damaged` if there are too
 * many; {@link ReadError}
 */
export function* mappedFrames(kernel: Kernel, { address, bytes }: AddressRange): Generator<number> {
  const { pageSize } = kernel.facts;
  if (!kernel.physicalOf) throw unsupportedLayout('this engine does not walk page tables');
  if (bytes > MOST_BYTES) throw damaged(`an area at ${hex(address)} claims ${bytes} bytes`);
  const size = BigInt(pageSize);
  const end = address + BigInt(bytes);
  for (let at = address - (address % size); at < end; at += size) {
    const physical = kernel.physicalOf(at);
    if (physical !== undefined) yield Math.floor(physical / pageSize);
  }
}
