import { type Compression, compress, FLAGS } from './compress.js';
import type { Extent } from './extents.js';

/**
 * The dump's entry for one block of memory: its bytes (compressed as specified), a page of zeros (which
 * all share one descriptor's data), a filtered block, or one that was lost because the
 * writer ran out of space.
 */
export type BlockSpec =
  | { readonly data: Uint8Array; readonly as?: Compression }
  | { readonly stored: Uint8Array; readonly flags: number }
  | 'zero'
  | 'filtered'
  | 'lost';

export interface DiskdumpSpec {
  /** Bits of the bitmaps: max_mapnr. */
  readonly blocks: number;
  /** By block number; other memory does not exist. */
  readonly memory: ReadonlyMap<number, BlockSpec>;
  readonly version?: number;
  readonly blockSize?: number;
  readonly machine?: string;
  readonly release?: string;
  readonly status?: number;
  readonly dumpLevel?: number;
  readonly vmcoreinfo?: string;
  readonly notes?: Uint8Array;
  readonly split?: { readonly start: number; readonly end: number };
  /** File offset of the page data; by default right after the descriptors. */
  readonly dataOffset?: number;
  readonly timestamp?: number;
  readonly eraseinfo?: boolean;
}

const DESCRIPTOR = 24;

/**
 * A "kdump compressed" file, in the layout of struct disk_dump_header, struct kdump_sub_header and struct page_desc.
 * Written as extents: see `extents.ts`.
 */
export function diskdumpExtents(spec: DiskdumpSpec): Extent[] {
  const { blocks, memory, version = 6, blockSize = 4096, split } = spec;
  const bitmapBlocks = Math.ceil(Math.ceil(blocks / 8) / blockSize);
  const subHeaderBlocks = 4;
  const bitmapAt = (1 + subHeaderBlocks) * blockSize;
  const storedAt = bitmapAt + bitmapBlocks * blockSize;
  const descriptorsAt = storedAt + bitmapBlocks * blockSize;
  const info = Buffer.from(spec.vmcoreinfo ?? '', 'latin1');
  const notes = spec.notes ?? new Uint8Array(0);
  // The sub-header does not fit into 512-byte blocks with a 64-bit block size, which no test needs.
  const infoAt = blockSize + 256;
  const notesAt = infoAt + info.length;

  const header = Buffer.alloc(464);
  header.write('KDUMP   ', 0, 'latin1');
  header.writeInt32LE(version, 8);
  header.write('Linux', 12, 'latin1');
  header.write(spec.release ?? '', 12 + 2 * 65, 'latin1');
  header.write(spec.machine ?? 'x86_64', 12 + 4 * 65, 'latin1');
  header.writeBigUInt64LE(BigInt(spec.timestamp ?? 1), 408);
  header.writeUInt32LE(spec.status ?? 0, 424);
  header.writeInt32LE(blockSize, 428);
  header.writeInt32LE(subHeaderBlocks, 432);
  header.writeUInt32LE(bitmapBlocks * 2, 436);
  header.writeUInt32LE(Math.min(blocks, 0xffffffff), 440);
  header.writeInt32LE(1, 460);

  const sub = Buffer.alloc(104);
  if (version >= 1) sub.writeInt32LE(spec.dumpLevel ?? 0, 8);
  if (version >= 2 && split) {
    sub.writeInt32LE(1, 12);
    sub.writeBigUInt64LE(BigInt(split.start), 16);
    sub.writeBigUInt64LE(BigInt(split.end), 24);
  }
  if (version >= 3 && info.length > 0) {
    sub.writeBigUInt64LE(BigInt(infoAt), 32);
    sub.writeBigUInt64LE(BigInt(info.length), 40);
  }
  if (version >= 4 && notes.length > 0) {
    sub.writeBigUInt64LE(BigInt(notesAt), 48);
    sub.writeBigUInt64LE(BigInt(notes.length), 56);
  }
  if (version >= 5 && spec.eraseinfo) {
    sub.writeBigUInt64LE(BigInt(notesAt), 64);
    sub.writeBigUInt64LE(16n, 72);
  }
  if (version >= 6) {
    sub.writeBigUInt64LE(BigInt(split?.start ?? 0), 80);
    sub.writeBigUInt64LE(BigInt(split?.end ?? 0), 88);
    sub.writeBigUInt64LE(BigInt(blocks), 96);
  }

  const order = [...memory.keys()].sort((a, b) => a - b);
  const stored = order.filter((block) => memory.get(block) !== 'filtered');
  const mine = split ? stored.filter((block) => block >= split.start && block < split.end) : stored;
  const extents: Extent[] = [
    { offset: 0, bytes: header },
    { offset: blockSize, bytes: sub },
    { offset: infoAt, bytes: info },
    { offset: notesAt, bytes: notes },
    ...bitmap(order, bitmapAt),
    ...bitmap(stored, storedAt),
    // The last byte of the bitmaps, which gives the file its full length.
    { offset: descriptorsAt - 1, bytes: lastBitmapByte(stored, bitmapBlocks * blockSize) },
  ];

  const descriptors = Buffer.alloc(mine.length * DESCRIPTOR);
  const zeroAt = spec.dataOffset ?? descriptorsAt + descriptors.length;
  let dataAt = zeroAt;
  if (mine.some((block) => memory.get(block) === 'zero')) {
    extents.push({ offset: zeroAt, bytes: Buffer.alloc(blockSize) });
    dataAt += blockSize;
  }
  mine.forEach((block, i) => {
    const what = memory.get(block)!;
    if (what === 'lost' || what === 'filtered') return;
    const flags = what === 'zero' ? 0 : 'flags' in what ? what.flags : FLAGS[what.as ?? 'none'];
    let offset = zeroAt;
    let size = blockSize;
    if (what !== 'zero') {
      const bytes = 'stored' in what ? what.stored : compress(what.data, what.as ?? 'none');
      extents.push({ offset: dataAt, bytes });
      offset = dataAt;
      size = bytes.length;
      dataAt += size;
    }
    descriptors.writeBigUInt64LE(BigInt(offset), i * DESCRIPTOR);
    descriptors.writeUInt32LE(size, i * DESCRIPTOR + 8);
    descriptors.writeUInt32LE(flags, i * DESCRIPTOR + 12);
  });
  extents.push({ offset: descriptorsAt, bytes: descriptors });
  return extents.filter(({ bytes }) => bytes.length > 0);
}

/** The set bits as extents of their bytes, which keeps a huge bitmap sparse. */
function bitmap(blocks: readonly number[], offset: number): Extent[] {
  const bytes = new Map<number, number>();
  for (const block of blocks) {
    const at = Math.floor(block / 8);
    bytes.set(at, (bytes.get(at) ?? 0) | (1 << (block % 8)));
  }
  return [...bytes].map(([at, byte]) => ({ offset: offset + at, bytes: Uint8Array.of(byte) }));
}

function lastBitmapByte(blocks: readonly number[], bitmapBytes: number): Uint8Array {
  const last = blocks.filter((block) => Math.floor(block / 8) === bitmapBytes - 1);
  return Uint8Array.of(last.reduce((byte, block) => byte | (1 << (block % 8)), 0));
}
