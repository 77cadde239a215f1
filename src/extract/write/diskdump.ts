import { bytesOf } from '../../kernel/bytes.js';
import {
  COMPRESSION_FLAGS,
  DESCRIPTOR_BYTES,
  STATUS_AT,
  SUB_HEADER_BYTES,
  UTSNAME_AT,
} from '../../kernel/native/image/diskdump-format.js';
import { type ByteRange, keptBytesNote } from '../../kernel/native/image/kept-bytes.js';
import type { Note } from '../../kernel/native/image/notes.js';
import { UTS_BYTES } from '../../kernel/utsname.js';
import type { Compression, Compressor } from './compress.js';
import type { OutputFile } from './output-file.js';

/** What the file says of itself, besides its pages. */
export interface DumpHead {
  readonly pageSize: number;
  readonly machine: string;
  readonly release: string;
  /** `uname -v`. */
  readonly version: string;
  /** What the kernel image's physical addresses are above its link-time ones (x86_64's phys_base). */
  readonly physBase: bigint;
  /** makedumpfile's -d: which kinds of pages were left out. */
  readonly dumpLevel: number;
  /** Online CPUs. */
  readonly cpus: number;
  /** The VMCOREINFO note among them. */
  readonly notes: readonly Note[];
}

/** A page to write: its number, what it holds, and what of that is real. */
export interface DumpPage {
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Undefined if all of it is. */
  readonly kept: readonly ByteRange[] | undefined;
}

const HEADER_VERSION = 6;

/**
 * Writes a "kdump compressed" dump, as makedumpfile lays it out (diskdump_mod.h): a block of header,
 * blocks of sub-header with notes behind it, two bitmaps, the descriptors of the stored pages, then
 * their data. Pages of zeros share one block.
 *
 * @param open makes the file, when all is ready to be written
 * @param pages as many as `count`, ascending
 * @param exists numbers of pages of memory that exist, stored or not; those that are stored need not
 *   be among them
 * @returns the file's size in bytes
 * @throws {ExtractError}
 */
export function writeDiskdump(
  open: () => OutputFile,
  head: DumpHead,
  count: number,
  pages: Iterable<DumpPage>,
  exists: (limit: number) => Iterable<{ readonly start: number; readonly end: number }>,
  compression: Compression,
  compress: Compressor,
  onPage: (done: number, bytes: number) => void,
): number {
  const { pageSize } = head;
  const gathered = gather(pages, count, onPage, compress, pageSize, compression);
  const limit = gathered.last + 1;
  const notes = layNotes([
    ...head.notes,
    ...(gathered.partial.size > 0 ? [keptBytesNote({ pageSize, pages: gathered.partial })] : []),
  ]);

  const notesAt = pageSize + SUB_HEADER_BYTES;
  const subHeaderBlocks = Math.ceil((SUB_HEADER_BYTES + notes.bytes.length) / pageSize);
  const bitmapBlocks = Math.ceil(Math.ceil(limit / 8) / pageSize);
  const bitmapsAt = (1 + subHeaderBlocks) * pageSize;
  const descriptorsAt = bitmapsAt + 2 * bitmapBlocks * pageSize;
  const dataAt = descriptorsAt + count * DESCRIPTOR_BYTES;

  const descriptors = Buffer.alloc(count * DESCRIPTOR_BYTES);
  gathered.stored.forEach(({ offset, size, flags }, index) => {
    const at = index * DESCRIPTOR_BYTES;
    descriptors.writeBigUInt64LE(BigInt(dataAt + offset), at);
    descriptors.writeUInt32LE(size, at + 8);
    descriptors.writeUInt32LE(flags, at + 12);
  });
  const file = open();
  try {
    file.write(0, header(head, limit, subHeaderBlocks, bitmapBlocks * 2, compression));
    file.write(pageSize, subHeader(head, limit, notesAt, notes));
    file.write(notesAt, notes.bytes);
    file.write(bitmapsAt, bitmaps(gathered.numbers, exists(limit), bitmapBlocks * pageSize));
    file.write(descriptorsAt, descriptors);
    let at = dataAt;
    for (const chunk of gathered.data) {
      file.write(at, chunk);
      at += chunk.length;
    }
    return file.finish();
  } finally {
    file.discard();
  }
}

interface Stored {
  /** From the start of the page data. */
  readonly offset: number;
  readonly size: number;
  readonly flags: number;
}

interface Gathered {
  readonly numbers: readonly number[];
  readonly last: number;
  readonly stored: readonly Stored[];
  readonly data: readonly Uint8Array[];
  readonly partial: ReadonlyMap<number, readonly ByteRange[]>;
}

/** Compresses all pages: the list of what is kept comes before them in the file. */
function gather(
  pages: Iterable<DumpPage>,
  count: number,
  onPage: (done: number, bytes: number) => void,
  compress: Compressor,
  pageSize: number,
  compression: Compression,
): Gathered {
  const numbers: number[] = [];
  const stored: Stored[] = [];
  const data: Uint8Array[] = [];
  const partial = new Map<number, readonly ByteRange[]>();
  let size = 0;
  let zero: Stored | undefined;
  const store = (bytes: Uint8Array, flags: number): Stored => {
    const one = { offset: size, size: bytes.length, flags };
    data.push(bytes);
    size += bytes.length;
    stored.push(one);
    return one;
  };
  for (const { number, bytes, kept } of pages) {
    numbers.push(number);
    if (kept !== undefined) partial.set(number, kept);
    if (bytes.every((byte) => byte === 0)) {
      if (zero === undefined) zero = store(Uint8Array.from(bytes), 0);
      else stored.push(zero);
    } else {
      const small = compress(bytes);
      if (small.length < pageSize) store(small, COMPRESSION_FLAGS[compression]);
      else store(Uint8Array.from(bytes), 0);
    }
    onPage(numbers.length, size);
  }
  if (numbers.length !== count) throw new RangeError(`${numbers.length} pages instead of ${count}`);
  return { numbers, last: numbers[numbers.length - 1] ?? -1, stored, data, partial };
}

function header(
  head: DumpHead,
  limit: number,
  subHeaderBlocks: number,
  bitmapBlocks: number,
  compression: Compression,
): Uint8Array {
  const bytes = Buffer.alloc(464);
  bytes.write('KDUMP   ', 0, 'latin1');
  bytes.writeInt32LE(HEADER_VERSION, 8);
  // Not the node's name nor its domain, which say whose machine it was.
  const utsname = ['Linux', '', head.release, head.version, head.machine, ''];
  utsname.forEach((text, index) => {
    bytes.write(text.slice(0, UTS_BYTES - 1), UTSNAME_AT + index * UTS_BYTES, 'latin1');
  });
  bytes.writeUInt32LE(COMPRESSION_FLAGS[compression], STATUS_AT);
  bytes.writeInt32LE(head.pageSize, 428);
  bytes.writeInt32LE(subHeaderBlocks, 432);
  bytes.writeUInt32LE(bitmapBlocks, 436);
  bytes.writeUInt32LE(Math.min(limit, 0xffff_ffff), 440);
  bytes.writeInt32LE(head.cpus, 460);
  return bytes;
}

function subHeader(head: DumpHead, limit: number, notesAt: number, notes: LaidNotes): Uint8Array {
  const bytes = Buffer.alloc(SUB_HEADER_BYTES);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, head.physBase), 0);
  bytes.writeInt32LE(head.dumpLevel, 8);
  if (notes.vmcoreinfo !== undefined) {
    bytes.writeBigUInt64LE(BigInt(notesAt + notes.vmcoreinfo.at), 32);
    bytes.writeBigUInt64LE(BigInt(notes.vmcoreinfo.length), 40);
  }
  bytes.writeBigUInt64LE(BigInt(notesAt), 48);
  bytes.writeBigUInt64LE(BigInt(notes.bytes.length), 56);
  bytes.writeBigUInt64LE(BigInt(limit), 96);
  return bytes;
}

interface LaidNotes {
  readonly bytes: Uint8Array;
  /** Where the text of VMCOREINFO lies among them. */
  readonly vmcoreinfo: { readonly at: number; readonly length: number } | undefined;
}

/** ELF notes one after the other; names end in NUL, names and data are padded to 4 bytes. */
function layNotes(notes: readonly Note[]): LaidNotes {
  const parts: Uint8Array[] = [];
  let at = 0;
  let vmcoreinfo: LaidNotes['vmcoreinfo'];
  const push = (bytes: Uint8Array): void => {
    const padding = (4 - (bytes.length % 4)) % 4;
    parts.push(bytes, new Uint8Array(padding));
    at += bytes.length + padding;
  };
  for (const { name, type, data } of notes) {
    const nameBytes = Buffer.from(`${name}\0`, 'latin1');
    const head = Buffer.alloc(12);
    head.writeUInt32LE(nameBytes.length, 0);
    head.writeUInt32LE(data.byteLength, 4);
    head.writeUInt32LE(type, 8);
    push(head);
    push(nameBytes);
    if (name === 'VMCOREINFO') vmcoreinfo = { at, length: data.byteLength };
    push(bytesOf(data));
  }
  return { bytes: Buffer.concat(parts), vmcoreinfo };
}

/** Memory that exists, then memory that is stored: a bit for each page. */
function bitmaps(
  numbers: readonly number[],
  exists: Iterable<{ readonly start: number; readonly end: number }>,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(2 * length);
  const set = (base: number, page: number): void => {
    bytes[base + (page >>> 3)]! |= 1 << (page & 7);
  };
  for (const { start, end } of exists) for (let page = start; page < end; page++) set(0, page);
  for (const page of numbers) {
    set(0, page);
    set(length, page);
  }
  return bytes;
}
