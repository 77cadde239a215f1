import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import type { LogRing } from './ring.js';
import { typeOf } from './type-of.js';

/**
 * How far the ring of text has come: positions, which only grow. They tell which texts are still there,
 * whatever the descriptors say.
 */
export interface TextPositions {
  /** Whether the byte at a position is in the ring, or is its end. */
  holds(position: bigint): boolean;
}

/** Undefined where the kernel's types do not tell where they stand. @throws {ReadError} */
export function textPositions(kernel: Kernel, ring: LogRing): TextPositions | undefined {
  const layout = typeOf(kernel, 'printk_ringbuffer');
  const head = layout?.member('text_data_ring.head_lpos');
  const tail = layout?.member('text_data_ring.tail_lpos');
  if (!head || !tail) return undefined;
  const read = (offset: number): bigint =>
    pointerPartOf(kernel, 'struct printk_ringbuffer', ring.address, ring.address + BigInt(offset));
  const oldest = read(tail.offset);
  const length = BigInt.asUintN(64, read(head.offset) - oldest);
  return { holds: (position) => BigInt.asUintN(64, position - oldest) <= length };
}
