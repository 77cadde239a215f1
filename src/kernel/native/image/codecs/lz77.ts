import type { Codec } from './codec.js';

/**
 * DUMP_DH_COMPRESSED_LZO: one LZO1X stream per page, as written by liblzo2's lzo1x_1_compress.
 * Implemented from the kernel's Documentation/staging/lzo.rst (version 0 of the stream); every copy
 * is checked against both buffers, and the input must be consumed completely.
 */
export const inflateLzo: Codec = (input, size) => {
  const output = new Uint8Array(size);
  const end = input.length;
  let from = 0;
  let to = 0;
  /** Number of literals that the last instruction copied: 0 to 3, or 4 for a run. */
  let state = 0;

  if (end > 0 && input[0]! > 17) {
    const count = input[0]! - 17;
    if (1 + count > end || count > size) return undefined;
    for (from = 1; to < count; ) output[to++] = input[from++]!;
    state = Math.min(count, 4);
  }

  while (from < end) {
    const code = input[from++]!;
    let length: number;
    let distance: number;
    let literals = code & 3;

    if (code >= 64) {
      if (from >= end) return undefined;
      length = (code >> 5) + 1;
      distance = (input[from++]! << 3) + ((code >> 2) & 7) + 1;
    } else if (code >= 16 || state === 0) {
      const bits = code >= 32 ? 31 : code >= 16 ? 7 : 15;
      length = code & bits;
      if (length === 0) {
        length = bits;
        while (from < end && input[from] === 0) {
          length += 255;
          from++;
        }
        if (from >= end) return undefined;
        length += input[from++]!;
      }
      if (code < 16) {
        length += 3;
        if (from + length > end || to + length > size) return undefined;
        if (length < 32) {
          for (const stop = to + length; to < stop; ) output[to++] = input[from++]!;
        } else {
          output.set(input.subarray(from, from + length), to);
          from += length;
          to += length;
        }
        state = 4;
        continue;
      }
      length += 2;
      if (from + 2 > end) return undefined;
      const operand = input[from]! | (input[from + 1]! << 8);
      from += 2;
      literals = operand & 3;
      if (code >= 32) {
        distance = (operand >> 2) + 1;
      } else {
        distance = 16384 + ((code & 8) << 11) + (operand >> 2);
        if (distance === 16384) return to === size && from === end ? output : undefined;
      }
    } else {
      if (from >= end) return undefined;
      length = state === 4 ? 3 : 2;
      distance = (input[from++]! << 2) + (code >> 2) + (state === 4 ? 2049 : 1);
    }

    if (distance > to || to + length > size) return undefined;
    if (length >= 32 && distance >= length) {
      output.copyWithin(to, to - distance, to - distance + length);
      to += length;
    } else {
      // The source may overlap the output: that is how runs are encoded.
      for (const stop = to + length; to < stop; to++) output[to] = output[to - distance]!;
    }
    if (from + literals > end || to + literals > size) return undefined;
    for (let i = 0; i < literals; i++) output[to++] = input[from++]!;
    state = literals;
  }
  return undefined;
};

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
