import type { Codec } from '../codecs/codec.js';
import { inflateLzo } from '../codecs/lzo.js';
import { inflateSnappy } from '../codecs/snappy.js';
import { inflateZlib } from '../codecs/zlib.js';
import { inflateZstd } from '../codecs/zstd.js';
import type { ImageFacts } from '../image.js';
import { COMPRESSION_FLAGS, DESCRIPTOR_BYTES } from './format.js';

export type Compression = ImageFacts['compression'][number];

/** Flags of a descriptor, and of the header's status: DUMP_DH_COMPRESSED_…. */
export const CODECS: readonly { flag: number; name: Compression; inflate: Codec }[] = [
  { flag: COMPRESSION_FLAGS.zlib, name: 'zlib', inflate: inflateZlib },
  { flag: COMPRESSION_FLAGS.lzo, name: 'lzo', inflate: inflateLzo },
  { flag: COMPRESSION_FLAGS.snappy, name: 'snappy', inflate: inflateSnappy },
  { flag: COMPRESSION_FLAGS.zstd, name: 'zstd', inflate: inflateZstd },
];

/** Where a block's data lies in the file, in bytes, and how it is stored. */
export interface Descriptor {
  readonly offset: number;
  readonly size: number;
  /** DUMP_DH_COMPRESSED_…; 0 for a plain block. */
  readonly flags: number;
}

/** One of the descriptors that lie in a row. */
export function readDescriptor(bytes: Uint8Array, index: number): Descriptor {
  const view = new DataView(bytes.buffer, bytes.byteOffset + index * DESCRIPTOR_BYTES);
  return {
    offset: view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32,
    size: view.getUint32(8, true),
    flags: view.getUint32(12, true),
  };
}

export function codecOf({ flags }: Descriptor): (typeof CODECS)[number] | undefined {
  return CODECS.find(({ flag }) => (flags & flag) !== 0);
}
