import type { Codec } from './codec.js';

/**
 * DUMP_DH_COMPRESSED_SNAPPY: one raw snappy block per page (google/snappy, format_description.txt).
 * Implemented here because snappyjs takes 7 ms to import and allocates whatever the length header claims.
 */
export const inflateSnappy: Codec = (input, size) => {
  const end = input.length;
  let from = 0;
  let claimed = 0;
  for (let shift = 1; ; shift *= 128) {
    if (from >= end || from >= 5) return undefined;
    const byte = input[from++]!;
    claimed += (byte & 0x7f) * shift;
    if (byte < 0x80) break;
  }
  if (claimed !== size) return undefined;

  const output = new Uint8Array(size);
  let to = 0;
  while (from < end) {
    const tag = input[from++]!;
    let length = (tag >> 2) + 1;
    if ((tag & 3) === 0) {
      if (length > 60) {
        const extra = length - 60;
        if (from + extra > end) return undefined;
        length = 1;
        for (let i = 0, unit = 1; i < extra; i++, unit *= 256) length += input[from++]! * unit;
      }
      if (from + length > end || to + length > size) return undefined;
      if (length < 32) {
        for (const stop = to + length; to < stop; ) output[to++] = input[from++]!;
      } else {
        output.set(input.subarray(from, from + length), to);
        from += length;
        to += length;
      }
      continue;
    }
    let distance: number;
    if ((tag & 3) === 1) {
      if (from >= end) return undefined;
      length = ((tag >> 2) & 7) + 4;
      distance = ((tag >> 5) << 8) | input[from++]!;
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4;
      if (from + bytes > end) return undefined;
      distance = 0;
      for (let i = 0, unit = 1; i < bytes; i++, unit *= 256) distance += input[from++]! * unit;
    }
    if (distance === 0 || distance > to || to + length > size) return undefined;
    if (length >= 32 && distance >= length) {
      output.copyWithin(to, to - distance, to - distance + length);
      to += length;
    } else {
      for (const stop = to + length; to < stop; to++) output[to] = output[to - distance]!;
    }
  }
  return to === size ? output : undefined;
};
