import type { MemberLayout } from './layout.js';

/**
 * The bytes to read for a bitfield: the aligned unit of its declared type, or, where a packed struct
 * puts it across two of them or the unit would reach over the struct's end, the bytes it touches.
 */
export function storageUnit(
  bits: number,
  bitSize: number,
  unit: number,
  structSize: number,
): Pick<MemberLayout, 'offset' | 'size'> & { bits: { offset: number; size: number } } {
  if (unit > 0) {
    const offset = Math.floor(bits / (unit * 8)) * unit;
    const within = bits - offset * 8;
    if (within + bitSize <= unit * 8 && offset + unit <= structSize)
      return { offset, size: unit, bits: { offset: within, size: bitSize } };
  }
  const offset = Math.floor(bits / 8);
  const within = bits % 8;
  return {
    offset,
    size: Math.ceil((within + bitSize) / 8),
    bits: { offset: within, size: bitSize },
  };
}
