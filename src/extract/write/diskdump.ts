import { setImmediate } from 'node:timers/promises';
import type { OutputFile } from '../../base/output-file.js';
import { bytesOf } from '../../kernel/bytes.js';
import {
  COMPRESSION_FLAGS,
  DESCRIPTOR_BYTES,
  type Note,
  STATUS_AT,
  SUB_HEADER_BYTES,
  UTSNAME_AT,
} from '../../kernel/native/parts.js';
import { UTS_BYTES } from '../../kernel/utsname.js';
import { Appender } from './appender.js';
import type { Compression, Compressor } from './compress.js';

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

/** The pages to write. */
export interface DumpPages {
  /** Ascending. */
  readonly numbers: readonly number[];
  /** What a page holds. Each is asked for once, in that order. */
  readonly bytesOf: (number: number) => Uint8Array;
  /**
   * Pages of memory that exist, stored or not, by their numbers below `limit`; those that are stored
   * need not be among them.
   */
  readonly existing: (limit: number) => Iterable<{ readonly start: number; readonly end: number }>;
}

const HEADER_VERSION = 6;

/** A signal is heard after so many pages: within a tenth of a second, by the slowest compression. */
const PAGES_AT_ONCE = 256;

/**
 * Writes a "kdump compressed" dump, as makedumpfile lays it out (diskdump_mod.h): a block of header,
 * blocks of sub-header with notes behind it, two bitmaps, the descriptors of the stored pages, then
 * their data, as they come. Pages of zeros share one block.
 *
 * @param file is finished, or discarded if that fails
 * @returns the file's size in bytes
 * @throws {ExtractError}
 */
export async function writeDiskdump(
  file: OutputFile,
  head: DumpHead,
  pages: DumpPages,
  compression: Compression,
  compress: Compressor,
  onPage: (done: number, bytes: number) => void,
): Promise<number> {
  const { pageSize } = head;
  const { numbers } = pages;
  const limit = (numbers[numbers.length - 1] ?? -1) + 1;
  const notes = layNotes(head.notes);

  const notesAt = pageSize + SUB_HEADER_BYTES;
  const subHeaderBlocks = Math.ceil((SUB_HEADER_BYTES + notes.bytes.length) / pageSize);
  const bitmapBlocks = Math.ceil(Math.ceil(limit / 8) / pageSize);
  const bitmapsAt = (1 + subHeaderBlocks) * pageSize;
  const descriptorsAt = bitmapsAt + 2 * bitmapBlocks * pageSize;
  const dataAt = descriptorsAt + numbers.length * DESCRIPTOR_BYTES;

  try {
    file.write(0, header(head, limit, subHeaderBlocks, bitmapBlocks * 2, compression));
    file.write(pageSize, subHeader(head, limit, notesAt, notes));
    file.write(notesAt, notes.bytes);
    file.write(bitmapsAt, bitmaps(numbers, pages.existing(limit), bitmapBlocks * pageSize));
    const descriptors = new Appender(file, descriptorsAt);
    const data = new Appender(file, dataAt);
    const store = (bytes: Uint8Array, flags: number): Uint8Array => {
      const made = descriptor(data.position, bytes.length, flags);
      data.append(bytes);
      return made;
    };
    let zero: Uint8Array | undefined;
    for (const [index, number] of numbers.entries()) {
      if (index % PAGES_AT_ONCE === 0) await setImmediate();
      const bytes = pages.bytesOf(number);
      if (bytes.every((byte) => byte === 0)) {
        zero ??= store(bytes, 0);
        descriptors.append(zero);
      } else {
        const small = compress(bytes);
        const isSmaller = small.length < pageSize;
        descriptors.append(
          isSmaller ? store(small, COMPRESSION_FLAGS[compression]) : store(bytes, 0),
        );
      }
      onPage(index + 1, data.position - dataAt);
    }
    descriptors.flush();
    data.flush();
    return file.finish();
  } finally {
    file.discard();
  }
}

/** Where a page lies in the file, and how (struct page_desc; nobody reads its last word). */
function descriptor(position: number, size: number, flags: number): Uint8Array {
  const bytes = Buffer.alloc(DESCRIPTOR_BYTES);
  bytes.writeBigUInt64LE(BigInt(position), 0);
  bytes.writeUInt32LE(size, 8);
  bytes.writeUInt32LE(flags, 12);
  return bytes;
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
