import { type Codec, inflateZlib } from '../codecs/codec.js';
import { inflateLzo } from '../codecs/lzo.js';
import { inflateSnappy } from '../codecs/snappy.js';
import { inflateZstd } from '../codecs/zstd.js';
import type { ImageFacts } from '../image.js';

// On-disk layout of "kdump compressed" files, shared by readers and writers (makedumpfile's diskdump_mod.h).

/** Offset of utsname in struct disk_dump_header. */
export const UTSNAME_AT = 12;
/** Offset of `status` in struct disk_dump_header. */
export const STATUS_AT = 424;
export const SUB_HEADER_BYTES = 104;
/** struct page_desc: offset, size, flags, page_flags. */
export const DESCRIPTOR_BYTES = 24;

/** DUMP_DH_COMPRESSED_…, in a descriptor's flags and in the header's status. */
export const COMPRESSION_FLAGS = { none: 0, zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 } as const;

export type Compression = ImageFacts['compression'][number];

/** Flags of a descriptor, and of the header's status: DUMP_DH_COMPRESSED_…. */
export const CODECS: readonly { flag: number; name: Compression; inflate: Codec }[] = [
  { flag: COMPRESSION_FLAGS.zlib, name: 'zlib', inflate: inflateZlib },
  { flag: COMPRESSION_FLAGS.lzo, name: 'lzo', inflate: inflateLzo },
  { flag: COMPRESSION_FLAGS.snappy, name: 'snappy', inflate: inflateSnappy },
  { flag: COMPRESSION_FLAGS.zstd, name: 'zstd', inflate: inflateZstd },
];

/** File offset and size of a block's data, in bytes, and how it is stored. */
export interface Descriptor {
  readonly offset: number;
  readonly size: number;
  /** DUMP_DH_COMPRESSED_…; 0 for a plain block. */
  readonly flags: number;
}

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
