import { setImmediate } from 'node:timers/promises';
import type { OutputFile } from '../../base/output-file.js';
import { bytesOf } from '../../kernel/bytes.js';
import { UTS_BYTES } from '../../kernel/layout.js';
import {
  COMPRESSION_FLAGS,
  DESCRIPTOR_BYTES,
  type Note,
  STATUS_AT,
  SUB_HEADER_BYTES,
  UTSNAME_AT,
} from '../../kernel/native/parts.js';
import type { Compression, Compressor } from './compress.js';

/** Header of the file, without its pages. */
export interface DumpHead {
  readonly pageSize: number;
  readonly machine: string;
  readonly release: string;
  /** `uname -v`. */
  readonly version: string;
  /** Offset of the kernel image's physical addresses from its link-time ones (x86_64's phys_base). */
  readonly physBase: bigint;
  /** makedumpfile's -d: the excluded kinds of pages. */
  readonly dumpLevel: number;
  /** Number of online CPUs. */
  readonly cpus: number;
  /** ELF notes, including VMCOREINFO. */
  readonly notes: readonly Note[];
}

/** Pages to write. */
export interface DumpPages {
  /** Page numbers in ascending order. */
  readonly numbers: readonly number[];
  /** Returns the bytes of a page. Called once for each page, in the order of the numbers. */
  readonly bytesOf: (number: number) => Uint8Array;
  /** Ranges of existing pages, stored or not, with numbers below `limit`; stored pages may be omitted. */
  readonly existing: (limit: number) => Iterable<{ readonly start: number; readonly end: number }>;
}

const HEADER_VERSION = 6;

/** Pages between checks for a signal: a tenth of a second with the slowest compression. */
const PAGES_AT_ONCE = 256;

/**
 * Writes a "kdump compressed" dump in makedumpfile's layout (diskdump_mod.h): header blocks, sub-header
 * blocks followed by notes, two bitmaps, the descriptors of the stored pages, then their data in order. Zero
 * pages share one block.
 *
 * @param file is finished, or discarded on failure
 * @returns file size in bytes
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
        descriptors.append(isSmaller ? store(small, COMPRESSION_FLAGS[compression]) : store(bytes, 0));
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

/**
 * Returns the page descriptor with position and encoding of a page in the file (struct page_desc; its last
 * word is unused).
 */
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
  // Omits node name and domain name, which identify the machine.
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
  /** Position of the text of VMCOREINFO in them. */
  readonly vmcoreinfo: { readonly at: number; readonly length: number } | undefined;
}

/** Returns consecutive ELF notes; names end in NUL, and names and data are padded to 4 bytes. */
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

/** Returns the bitmaps of existing and of stored memory, with one bit for each page. */
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

/** Number of bytes in one write. */
const PIECE = 1 << 20;

/** Appends bytes to a file from a start position, with buffering. */
export class Appender {
  readonly #file: OutputFile;
  readonly #piece = Buffer.alloc(PIECE);
  #filled = 0;
  /** Position of the piece in the file. */
  #at: number;

  constructor(file: OutputFile, position: number) {
    this.#file = file;
    this.#at = position;
  }

  /** Position of the next bytes in the file. */
  get position(): number {
    return this.#at + this.#filled;
  }

  /** @throws {OutputError} `cannot-write` */
  append(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > PIECE) this.flush();
    if (bytes.length > PIECE) throw new RangeError(`write of ${bytes.length} bytes`);
    this.#piece.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Writes pending data. @throws {OutputError} `cannot-write` */
  flush(): void {
    this.#file.write(this.#at, this.#piece.subarray(0, this.#filled));
    this.#at += this.#filled;
    this.#filled = 0;
  }
}
