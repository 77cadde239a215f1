import zlib from 'node:zlib';
import { type Codec, isZlibError } from './codec.js';
import { BlockDecoder } from './zstd-block.js';
import { check, DAMAGED } from './zstd-entropy.js';

/**
 * DUMP_DH_COMPRESSED_ZSTD: one zstd frame per page. node:zlib decodes it since Node 22.15; older versions use
 * the decoder here (fzstd takes ten times as long per page, and loops forever on some corrupt frames).
 */
export const inflateZstd: Codec = (input, size) => {
  codec ??= zstdCodec(zlib, isZlibError) ?? decodeFrame;
  return codec(input, size);
};

let codec: Codec | undefined;

/** node:zlib's decoder, which the types of Node 20 lack. Threads run the text of this function. */
export function zstdCodec(module: typeof zlib, isRefusal: typeof isZlibError): Codec | undefined {
  const decompress: unknown = Reflect.get(module, 'zstdDecompressSync');
  if (typeof decompress !== 'function') return undefined;
  return (input, size) => {
    try {
      const output: Uint8Array = decompress(input, { maxOutputLength: size });
      return output.byteLength === size ? output : undefined;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  };
}

let blocks: BlockDecoder | undefined;

/** Decoder of one frame without a dictionary (RFC 8878, 3.1.1); the checksum is not verified. */
export const decodeFrame: Codec = (input, size) => {
  try {
    return decode(input, size);
  } catch (error) {
    if (error === DAMAGED) return undefined;
    throw error;
  }
};

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

function decode(input: Uint8Array, size: number): Uint8Array {
  let at = readFrameHeader(input, size);
  const checksum = (input[4]! & 4) !== 0;
  blocks ??= new BlockDecoder();
  blocks.startFrame();
  const output = new Uint8Array(size);
  let to = 0;
  for (let last = false; !last; ) {
    check(at + 3 <= input.length);
    const header = input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16);
    at += 3;
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const length = header >> 3;
    const stored = type === 1 ? 1 : length;
    check(type !== 3 && at + stored <= input.length);
    if (type === 2) {
      to = blocks.decode(input, at, at + length, output, to);
    } else {
      check(to + length <= size);
      if (type === 1) output.fill(input[at]!, to, to + length);
      else output.set(input.subarray(at, at + length), to);
      to += length;
    }
    at += stored;
  }
  check(to === size && at + (checksum ? 4 : 0) === input.length);
  return output;
}

/** Checks a frame's header (3.1.1.1) against the expected size; returns the offset of the first block. */
function readFrameHeader(input: Uint8Array, size: number): number {
  check(input.length >= 6 && MAGIC.every((byte, i) => input[i] === byte));
  const descriptor = input[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionary = descriptor & 3;
  // Bit 3 is reserved; no dump writer uses a dictionary.
  check((descriptor & 8) === 0 && dictionary === 0);
  let at = singleSegment ? 5 : 6;
  const flag = descriptor >> 6;
  const sizeBytes = flag === 0 ? (singleSegment ? 1 : 0) : 1 << flag;
  check(at + sizeBytes <= input.length);
  if (sizeBytes === 0) return at;
  let content = flag === 1 ? 256 : 0;
  for (let i = 0; i < sizeBytes; i++) content += input[at + i]! * 256 ** i;
  check(content === size);
  at += sizeBytes;
  return at;
}
