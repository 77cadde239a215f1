import { KernelError, ReadError } from '../../error.js';
import type { Place } from '../../kernel.js';
import { type BlockCache, type CacheSpace, CHUNK } from './cache.js';
import { ChunkedSource } from './chunks.js';
import type { Codec } from './codecs/codec.js';
import { inflateLzo } from './codecs/lzo.js';
import { inflateSnappy } from './codecs/snappy.js';
import { inflateZlib } from './codecs/zlib.js';
import { inflateZstd } from './codecs/zstd.js';
import {
  type DiskdumpHeader,
  DUMP_DH_COMPRESSED_INCOMPLETE,
  DUMP_DH_EXCLUDED_VMEMMAP,
  type Extent,
  isKdumpCompressed,
  isNewerVersion,
  readDiskdumpHeader,
} from './diskdump-header.js';
import type { ImageFormat } from './format.js';
import type { ImageFacts, MemoryImage, PhysicalRange } from './image.js';
import { refuseLength } from './longest-read.js';
import { requireMachine } from './machine.js';
import { machineOfNote, type Note, notes, vmcoreinfoOf } from './notes.js';
import { CUT, NOT_SET, PageBitmap } from './page-bitmap.js';
import { type ByteSource, CUT_STREAM, readHead, textAt, wrappingOf } from './source.js';

/** "kdump compressed", as makedumpfile and QEMU write it; the parts of a split one are given together. */
export const diskdump: ImageFormat = {
  name: 'kdump compressed',
  probe: (head) => (isKdumpCompressed(head) ? undefined : "it does not begin with 'KDUMP   '"),
  open: (sources, cache) => new DiskdumpImage(sources, cache),
};

type Compression = ImageFacts['compression'][number];

/** Flags of a descriptor, and of the header's status: DUMP_DH_COMPRESSED_…. */
const CODECS: readonly { flag: number; name: Compression; inflate: Codec }[] = [
  { flag: 0x1, name: 'zlib', inflate: inflateZlib },
  { flag: 0x2, name: 'lzo', inflate: inflateLzo },
  { flag: 0x4, name: 'snappy', inflate: inflateSnappy },
  { flag: 0x20, name: 'zstd', inflate: inflateZstd },
];
const COMPRESSED = 0x27;

/** What an entry of the cache weighs by itself. */
const ENTRY_BYTES = 256;
/** struct page_desc: offset, size, flags, page_flags. */
const DESCRIPTOR_BYTES = 24;
/** The text of VMCOREINFO fits one page of the kernel's, 64 KiB at most. */
const MOST_VMCOREINFO_BYTES = 1 << 20;
const MOST_NOTE_BYTES = 64 * 1024 * 1024;
/** Beyond this the bitmap is not counted to its end only to learn whether the file is cut. */
const MOST_BLOCKS_COUNTED = 2 ** 29;

/** One file: all of the dump, or a part of a split one. */
interface Part {
  readonly source: ByteSource;
  readonly header: DiskdumpHeader;
  /** The blocks that it holds, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  readonly stored: PageBitmap;
  readonly descriptors: ChunkedSource;
  readonly data: ChunkedSource;
  /** Where the file keeps the page that all of its zero pages share; -1 until one was seen. */
  readonly zero: { offset: number };
}

class DiskdumpImage implements MemoryImage {
  readonly facts: ImageFacts;
  readonly vmcoreinfo: string | undefined;
  readonly notes: readonly Note[];
  readonly virtualRanges = [];
  readonly #parts: readonly Part[];
  readonly #blockSize: number;
  readonly #ram: PageBitmap;
  readonly #pages: CacheSpace<DataView>;
  #lastBlock = -1;
  #lastPage: DataView = new DataView(new ArrayBuffer(0));
  /** The page of all zero pages, once one was seen. */
  #zeroPage: Uint8Array | undefined;

  constructor(sources: readonly ByteSource[], cache: BlockCache) {
    const oddities: string[] = [];
    const parts = openParts(sources, cache, oddities);
    this.#parts = parts;
    const { source, header } = parts[0]!;
    this.#blockSize = header.blockSize;
    this.#ram = new PageBitmap(source, header.ramBitmap, header.blocks, 0, cache);
    this.#pages = cache.space();

    const found = readNotes(parts, oddities);
    this.notes = found;
    this.vmcoreinfo = readVmcoreinfo(parts) ?? first(found.map(vmcoreinfoOf));
    const machine = header.machine ?? first(found.map(machineOfNote));
    if (machine !== undefined) requireMachine(source.name, machine);
    for (const part of parts) noteState(part, oddities);
    // makedumpfile passes QEMU's notes on, but it always knows the release; QEMU never does. On arm64
    // QEMU writes no note of its own, and doesn't know the machine either.
    const qemu =
      header.release === undefined &&
      (header.machine === undefined || found.some((note) => note.name === 'QEMU'));
    this.facts = {
      format: 'diskdump',
      description: describe(parts, qemu) + wrappingOf(parts[0]!.source),
      compression: compressionOf(parts),
      machine,
      release: header.release,
      // QEMU always writes 1, and leaves nothing out.
      dumpLevel: qemu ? undefined : header.dumpLevel,
      files: parts.map((part) => part.source.name),
      physicalRanges: { [Symbol.iterator]: () => physicalRanges(parts, header.blockSize) },
      existingRanges: {
        [Symbol.iterator]: () => rangesOf(this.#ram.runs(0, header.blocks), header.blockSize),
      },
      live: false,
      oddities,
    };
  }

  readPhysical(address: number, length: number): DataView {
    const size = this.#blockSize;
    if (!(address >= 0)) throw new ReadError('absent', BigInt(address));
    const within = address % size;
    const block = (address - within) / size;
    if (within + length <= size) {
      const page = block === this.#lastBlock ? this.#lastPage : this.#page(block, address);
      return new DataView(page.buffer, page.byteOffset + within, length);
    }
    refuseLength(address, length);
    let done = size - within;
    const head = bytesOf(this.#page(block, address)).subarray(within);
    const whole = new Uint8Array(length);
    whole.set(head);
    for (let next = block + 1; done < length; next++) {
      const page = bytesOf(this.#page(next, address + done));
      whole.set(page.subarray(0, length - done), done);
      done += size;
    }
    return new DataView(whole.buffer);
  }

  place(address: number, length: number, place: Place): boolean {
    const block = Math.floor(address / this.#blockSize);
    const within = address - block * this.#blockSize;
    if (within + length > this.#blockSize) return false;
    place.view = block === this.#lastBlock ? this.#lastPage : this.#page(block, address);
    place.base = within;
    return true;
  }

  readVirtual(): undefined {
    return undefined;
  }

  noteReads(): () => void {
    return () => {};
  }

  close(): void {
    for (const { source } of this.#parts) source.close();
  }

  /** The bytes of a block; `address` is for errors only. */
  #page(block: number, address: number): DataView {
    let page = this.#pages.get(block);
    if (page === undefined) {
      const bytes = this.#load(block, address);
      page = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      this.#pages.set(block, page, bytes === this.#zeroPage ? ENTRY_BYTES : bytes.byteLength);
    }
    this.#lastBlock = block;
    this.#lastPage = page;
    return page;
  }

  #load(block: number, address: number): Uint8Array {
    const part = this.#parts.find(({ start, end }) => block >= start && block < end);
    const rank = part?.stored.rank(block) ?? NOT_SET;
    if (part === undefined || rank < 0) throw this.#missing(block, address, rank, part);
    const at = part.header.descriptors + rank * DESCRIPTOR_BYTES;
    const bytes = part.descriptors.read(at, DESCRIPTOR_BYTES);
    if (bytes === undefined) throw unread(part.source, at + DESCRIPTOR_BYTES, address);
    const { offset, size, flags } = readDescriptor(bytes, 0);
    if (offset === 0) {
      // Space ran out (DUMP_DH_COMPRESSED_INCOMPLETE) before this descriptor was written.
      throw new ReadError('absent', BigInt(address), 'the dump was not written to its end');
    }
    if (size === 0 || size > this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `a descriptor claims ${size} bytes`);
    }
    const codec = CODECS.find(({ flag }) => (flags & flag) !== 0);
    if (codec === undefined && size !== this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `a plain page of ${size} bytes`);
    }
    if (codec === undefined && offset === part.zero.offset) return this.#zeroPage!;
    const data = part.data.read(offset, size);
    if (data === undefined) throw unread(part.source, offset + size, address);
    if (codec === undefined) return this.#plain(part, offset, data);
    const page = codec.inflate(data, this.#blockSize);
    if (page === undefined) throw new ReadError('damaged', BigInt(address), codec.name);
    return page;
  }

  /** An uncompressed block; zero pages, which a writer stores once in a file, are kept once. */
  #plain(part: Part, offset: number, data: Uint8Array): Uint8Array {
    if (part.zero.offset < 0 && data.every((byte) => byte === 0)) {
      part.zero.offset = offset;
      this.#zeroPage ??= new Uint8Array(this.#blockSize);
      return this.#zeroPage;
    }
    return Uint8Array.prototype.slice.call(data);
  }

  #missing(block: number, address: number, rank: number, part: Part | undefined): ReadError {
    if (rank === CUT) return new ReadError('truncated', BigInt(address));
    if (block >= this.#parts[0]!.header.blocks || !this.#ram.has(block)) {
      return new ReadError('absent', BigInt(address));
    }
    if (part !== undefined) return new ReadError('filtered', BigInt(address));
    const detail = 'it belongs to a part of the split dump that is not given';
    return new ReadError('absent', BigInt(address), detail);
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Why bytes that end at `end` could not be read: they are not there, or the disk refuses. */
function unread(source: ByteSource, end: number, address: number): ReadError {
  if (source.cut || end > source.size) return new ReadError('truncated', BigInt(address));
  return new ReadError('damaged', BigInt(address), 'the file cannot be read there');
}

function openParts(
  sources: readonly ByteSource[],
  cache: BlockCache,
  oddities: string[],
): readonly Part[] {
  const parts = sources.map((source) => openPart(source, cache));
  const { source, header } = parts[0]!;
  if (header.split === undefined && parts.length === 1) return parts;
  parts.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  let previous: Part | undefined;
  for (const part of parts) {
    const { name } = part.source;
    if (part.header.split === undefined) {
      const message = `${name} is not a part of a split dump, but ${parts.length} files are given`;
      throw new KernelError('wrong-parts', message);
    }
    if (part.header.identity !== header.identity) {
      throw new KernelError(
        'wrong-parts',
        `${source.name} and ${name} are parts of different dumps`,
      );
    }
    if (previous !== undefined && part.start < end && part.start < part.end) {
      const message = `${previous.source.name} and ${name} hold the same part of a split dump`;
      throw new KernelError('wrong-parts', message);
    }
    noteGap(end, part.start, header.blockSize, oddities);
    end = Math.max(end, part.end);
    previous = part;
  }
  noteGap(end, header.blocks, header.blockSize, oddities);
  return parts;
}

function noteGap(from: number, to: number, blockSize: number, oddities: string[]): void {
  if (from >= to) return;
  const range = `0x${(from * blockSize).toString(16)} to 0x${(to * blockSize).toString(16)}`;
  oddities.push(`a part of the split dump is not given: physical ${range} is missing`);
}

function openPart(source: ByteSource, cache: BlockCache): Part {
  const header = readDiskdumpHeader(source);
  const { start, end } = header.split ?? { start: 0, end: header.blocks };
  return {
    source,
    header,
    start,
    end,
    stored: new PageBitmap(source, header.storedBitmap, header.blocks, start, cache),
    descriptors: new ChunkedSource(source),
    data: new ChunkedSource(source),
    zero: { offset: -1 },
  };
}

function readVmcoreinfo(parts: readonly Part[]): string | undefined {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.vmcoreinfo, MOST_VMCOREINFO_BYTES);
    if (area !== undefined) return textAt(area, 0, area.byteLength);
  }
  return undefined;
}

function readNotes(parts: readonly Part[], oddities: string[]): Note[] {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.notes, MOST_NOTE_BYTES);
    if (area !== undefined) return [...notes(area)];
    if (header.notes !== undefined) oddities.push(`notes are cut or too large in ${source.name}`);
  }
  return [];
}

function readExtent(
  source: ByteSource,
  extent: Extent | undefined,
  most: number,
): DataView | undefined {
  if (extent === undefined || extent.size > most) return undefined;
  const view = readHead(source, extent.offset, extent.size);
  return view.byteLength === extent.size ? view : undefined;
}

/** What happened while the file was written or copied. */
function noteState({ source, header, end, stored, descriptors }: Part, oddities: string[]): void {
  const where = header.split === undefined ? '' : ` (${source.name})`;
  if (isNewerVersion(header.version)) {
    oddities.push(`header version ${header.version} is newer than what is known${where}`);
  }
  if ((header.status & DUMP_DH_COMPRESSED_INCOMPLETE) !== 0) {
    oddities.push(`the dump is incomplete: its writer ran out of space${where}`);
  }
  if ((header.status & DUMP_DH_EXCLUDED_VMEMMAP) !== 0) {
    oddities.push(`parts of the memory map were left out (makedumpfile -e)${where}`);
  }
  if (header.eraseinfo !== undefined) {
    oddities.push(`data was erased by makedumpfile's filter (eraseinfo)${where}`);
  }
  if (source.cut) oddities.push(`${CUT_STREAM}${where}`);
  if (source.cut || header.blocks > MOST_BLOCKS_COUNTED) return;
  const needed = bytesNeeded(header, stored.countTo(end), descriptors);
  if (needed > source.size) {
    oddities.push(`truncated: needs at least ${needed} bytes, has ${source.size}${where}`);
  }
}

/** Where the last page's data ends, as far as the descriptors are there to tell. */
function bytesNeeded(header: DiskdumpHeader, stored: number, descriptors: ChunkedSource): number {
  const descriptorsEnd = header.descriptors + Math.max(0, stored) * DESCRIPTOR_BYTES;
  let needed = descriptorsEnd;
  const last = Math.min(Math.max(0, stored), Math.floor(CHUNK / DESCRIPTOR_BYTES));
  const bytes = descriptors.read(descriptorsEnd - last * DESCRIPTOR_BYTES, last * DESCRIPTOR_BYTES);
  for (let i = 0; bytes !== undefined && i < last; i++) {
    const { offset, size } = readDescriptor(bytes, i);
    needed = Math.max(needed, offset + size);
  }
  return needed;
}

/** The header's flags, and what the first descriptors show. */
function compressionOf(parts: readonly Part[]): Compression[] {
  const found = new Set<Compression>();
  for (const { header, stored, end, descriptors } of parts) {
    for (const { flag, name } of CODECS) if ((header.status & flag) !== 0) found.add(name);
    const count = Math.min(
      Math.max(0, stored.countTo(Math.min(end, header.split?.start ?? 0) + 32768)),
      Math.floor(CHUNK / DESCRIPTOR_BYTES),
    );
    const bytes = descriptors.read(header.descriptors, count * DESCRIPTOR_BYTES);
    if (bytes === undefined) continue;
    const plain = new Set<number>();
    for (let i = 0; i < count; i++) {
      const { offset, flags } = readDescriptor(bytes, i);
      const codec = CODECS.find(({ flag }) => (flags & flag) !== 0);
      if (codec !== undefined) found.add(codec.name);
      else if ((flags & COMPRESSED) === 0) plain.add(offset);
    }
    // One plain page may be the one that all zero pages share.
    if (plain.size > 1 || (plain.size === 1 && found.size === 0)) found.add('none');
  }
  return [...found];
}

function readDescriptor(
  bytes: Uint8Array,
  index: number,
): { offset: number; size: number; flags: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + index * DESCRIPTOR_BYTES);
  return {
    offset: view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32,
    size: view.getUint32(8, true),
    flags: view.getUint32(12, true),
  };
}

function* physicalRanges(parts: readonly Part[], blockSize: number): Generator<PhysicalRange> {
  let start = -1;
  let end = -1;
  for (const part of parts) {
    for (const run of part.stored.runs(part.start, part.end)) {
      if (run.start !== end) {
        if (end > start) yield { start: start * blockSize, end: end * blockSize };
        start = run.start;
      }
      end = run.end;
    }
  }
  if (end > start) yield { start: start * blockSize, end: end * blockSize };
}

function* rangesOf(runs: Iterable<PhysicalRange>, blockSize: number): Generator<PhysicalRange> {
  for (const { start, end } of runs) yield { start: start * blockSize, end: end * blockSize };
}

function describe(parts: readonly Part[], qemu: boolean): string {
  const { header } = parts[0]!;
  const by = qemu ? ', by QEMU' : '';
  const split =
    header.split === undefined
      ? ''
      : `, ${parts.length === 1 ? '1 part' : `${parts.length} parts`} of a split dump`;
  return `kdump compressed, version ${header.version}${by}${split}`;
}

function first<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}
