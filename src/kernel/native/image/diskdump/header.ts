import { Parser } from 'binary-parser';
import { KernelError } from '../../../../base/errors.js';
import { bytesOf, textOf } from '../../../bytes.js';
import { UTS, UTS_BYTES } from '../../../layout.js';
import { type ByteSource, readHead } from '../byte-source.js';
import { type Codec, inflateZlib } from '../codecs/codec.js';
import { inflateLzo, inflateSnappy } from '../codecs/lz77.js';
import { inflateZstd } from '../codecs/zstd.js';
import { requireBytes } from '../elf/header.js';
import type { ImageFacts } from '../image.js';
import { requireMachine } from '../notes.js';

/** A position in the file, in bytes. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** Header of a "kdump compressed" file in normalized units. */
export interface DiskdumpHeader {
  readonly version: number;
  /** utsname's machine, or undefined if the writer did not fill it (QEMU on arm64). */
  readonly machine: string | undefined;
  /** utsname's release, or undefined. */
  readonly release: string | undefined;
  /** DUMP_DH_… flags: possible compressions of pages, and events during writing. */
  readonly status: number;
  /** Bytes of a block, the unit of bits and descriptors; not always the page size. */
  readonly blockSize: number;
  /** Position of the bitmap of existing memory. */
  readonly ramBitmap: number;
  /** Position of the bitmap of stored blocks: the same one if the file has only one. */
  readonly storedBitmap: number;
  /** Position of the descriptors. */
  readonly descriptors: number;
  /** Number of blocks of physical memory: bits of a bitmap. */
  readonly blocks: number;
  /** makedumpfile's -d, or undefined before version 1. */
  readonly dumpLevel: number | undefined;
  /** Blocks in this part of a split dump, `end` exclusive; undefined if it is not split. */
  readonly split: { readonly start: number; readonly end: number } | undefined;
  readonly vmcoreinfo: Extent | undefined;
  readonly notes: Extent | undefined;
  readonly eraseinfo: Extent | undefined;
  /** Bytes that are equal in every part of a split dump. */
  readonly identity: string;
}

/** status: the writer ran out of space; blocks with an empty descriptor were lost. */
export const DUMP_DH_COMPRESSED_INCOMPLETE = 0x8;
/** status: pages of the memory map were excluded (makedumpfile -e). */
export const DUMP_DH_EXCLUDED_VMEMMAP = 0x10;

const NEWEST_VERSION = 6;
/** 2^35 blocks: 128 TiB of 4 KiB pages, a bitmap of 4 GiB. Larger values indicate corruption. */
const MAX_BLOCKS = 2 ** 35;
const LARGEST_BLOCK = 1 << 20;
const HEADER_BYTES = 464;

/** struct disk_dump_header (makedumpfile's diskdump_mod.h) in the layout of 64-bit little-endian machines. */
const disk_dump_header = new Parser()
  .endianness('little')
  .seek(8)
  .int32('header_version')
  .seek(6 * UTS_BYTES + 6)
  .seek(16)
  .uint32('status')
  .int32('block_size')
  .int32('sub_hdr_size')
  .uint32('bitmap_blocks')
  .uint32('max_mapnr');

/** struct kdump_sub_header; the valid fields depend on the header's version. */
const kdump_sub_header = new Parser()
  .endianness('little')
  .uint64('phys_base')
  .int32('dump_level')
  .int32('split')
  .uint64('start_pfn')
  .uint64('end_pfn')
  .uint64('offset_vmcoreinfo')
  .uint64('size_vmcoreinfo')
  .uint64('offset_note')
  .uint64('size_note')
  .uint64('offset_eraseinfo')
  .uint64('size_eraseinfo')
  .uint64('start_pfn_64')
  .uint64('end_pfn_64')
  .uint64('max_mapnr_64');

export function isKdumpCompressed(head: DataView): boolean {
  return head.byteLength >= 8 && textOf(bytesOf(head, 0, 8)) === 'KDUMP   ';
}

/** @throws {KernelError} `truncated`, `damaged` or `unsupported-arch`. */
export function readDiskdumpHeader(source: ByteSource): DiskdumpHeader {
  const view = readHead(source, 0, HEADER_BYTES);
  requireBytes(source, view, 0, HEADER_BYTES);
  const { release, machine } = readUtsname(view);
  refuseOtherMachines(source, view, machine);

  const header = disk_dump_header.parse(bytesOf(view));
  const { header_version: version, status, block_size: blockSize } = header;
  const { sub_hdr_size, bitmap_blocks, max_mapnr } = header;
  if (blockSize < 512 || blockSize > LARGEST_BLOCK || (blockSize & (blockSize - 1)) !== 0) {
    throw damaged(source, `block size ${blockSize}`);
  }
  if (sub_hdr_size < 1 || sub_hdr_size > 1 << 20) {
    throw damaged(source, `sub-header of ${sub_hdr_size} blocks`);
  }
  const subView = readHead(source, blockSize, SUB_HEADER_BYTES);
  requireBytes(source, subView, blockSize, SUB_HEADER_BYTES);
  const sub = kdump_sub_header.parse(bytesOf(subView));

  const wide = version >= 6;
  const blocks = wide ? Number(sub.max_mapnr_64) : max_mapnr;
  if (blocks > MAX_BLOCKS) throw damaged(source, `${blocks} blocks of memory`);
  const bitmapBytes = Math.ceil(blocks / 8);
  const bitmapSpace = bitmap_blocks * blockSize;
  // makedumpfile writes two bitmaps, each of half the space (diskdump.c's dump_is_partial).
  const hasBothBitmaps = bitmap_blocks >= Math.ceil(bitmapBytes / blockSize) * 2;
  if (!hasBothBitmaps && bitmapSpace < bitmapBytes) {
    throw damaged(source, `bitmap of ${bitmapSpace} bytes for ${blocks} blocks of memory`);
  }
  const ramBitmap = (1 + sub_hdr_size) * blockSize;
  const isPart = version >= 2 && sub.split !== 0;
  const start = Number(wide ? sub.start_pfn_64 : sub.start_pfn);
  const end = Math.min(Number(wide ? sub.end_pfn_64 : sub.end_pfn), blocks);
  if (isPart && start > end) throw damaged(source, `part from block ${start} to ${end}`);
  return {
    version,
    machine,
    release,
    status,
    blockSize,
    ramBitmap,
    storedBitmap: hasBothBitmaps ? ramBitmap + bitmapSpace / 2 : ramBitmap,
    descriptors: ramBitmap + bitmapSpace,
    blocks,
    dumpLevel: version >= 1 ? sub.dump_level : undefined,
    split: isPart ? { start, end } : undefined,
    vmcoreinfo: extent(version >= 3, sub.offset_vmcoreinfo, sub.size_vmcoreinfo),
    notes: extent(version >= 4, sub.offset_note, sub.size_note),
    eraseinfo: extent(version >= 5, sub.offset_eraseinfo, sub.size_eraseinfo),
    identity: identityOf(view),
  };
}

/** Ignores the status: the writer of a single part may have run out of space. */
function identityOf(view: DataView): string {
  const bytes = Buffer.from(bytesOf(view));
  bytes.writeUInt32LE(0, STATUS_AT);
  return bytes.toString('latin1');
}

export function isNewerVersion(version: number): boolean {
  return version > NEWEST_VERSION;
}

function extent(known: boolean, offset: bigint, size: bigint): Extent | undefined {
  if (!known || offset === 0n || size === 0n) return undefined;
  return { offset: Number(offset), size: Number(size) };
}

function readUtsname(view: DataView): { release: string | undefined; machine: string | undefined } {
  const field = (i: number) => textOf(bytesOf(view, UTSNAME_AT + i * UTS_BYTES, UTS_BYTES));
  const machine = field(UTS.machine);
  return {
    release: field(UTS.release) || undefined,
    machine: machine === '' || machine === 'Unknown' ? undefined : machine,
  };
}

/** Detects the header layouts of 32-bit and big-endian machines, to name the machine. */
function refuseOtherMachines(source: ByteSource, view: DataView, machine: string | undefined): void {
  const version = view.getInt32(8, true);
  const swapped = view.getInt32(8, false);
  if ((version < 0 || version > 0xff) && swapped >= 0 && swapped <= 0xff) {
    requireMachine(source.name, machine ?? 'big-endian');
  }
  if (machine !== undefined) requireMachine(source.name, machine);
  if (version < 0 || version > 0xff) throw damaged(source, `header version ${version}`);
}

function damaged(source: ByteSource, claim: string): KernelError {
  return new KernelError('damaged', `${source.name}: malformed kdump header (${claim})`);
}

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
interface Descriptor {
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
