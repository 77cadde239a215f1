import { ReadError, readOrNot } from '../../../../base/errors.js';
import { type ByteWindow, bytesOf, textOf, viewOf } from '../../../bytes.js';
import { type ByteSource, checkLength, readHead, wrappingOf } from '../byte-source.js';
import type { BlockCache, CacheSpace } from '../cache.js';
import { type ImageFacts, type ImageFormat, joined, type MemoryImage, type PhysicalRange } from '../image.js';
import { MAX_NOTE_BYTES, machineOfNote, type Note, notes, requireMachine, vmcoreinfoOf } from '../notes.js';
import { type PackedFinder, ReadAhead } from '../read-ahead.js';
import { codecOf, DESCRIPTOR_BYTES, type Extent, isKdumpCompressed, readDescriptor } from './header.js';
import { CUT, NOT_SET, PageBitmap } from './page-bitmap.js';
import { compressionOf, describe, noteState, openParts, type Part } from './parts.js';

/** "kdump compressed", as makedumpfile and QEMU write it; the parts of a split dump are opened together. */
export const diskdump: ImageFormat = {
  name: 'kdump compressed',
  probe: (head) => (isKdumpCompressed(head) ? undefined : 'no KDUMP header'),
  open: (sources, cache) => new DiskdumpImage(sources, cache),
};

interface StoredBlock {
  readonly part: Part;
  /** Undefined: stored as it is. */
  readonly codec: ReturnType<typeof codecOf>;
  /** Position and number of bytes in the file. */
  readonly offset: number;
  readonly size: number;
}

/** Fixed overhead of a cache entry. */
const ENTRY_BYTES = 256;

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
  /** The shared page of zeros, once one was read. */
  #zeroPage: Uint8Array | undefined;
  #ahead: ReadAhead | undefined;

  constructor(sources: readonly ByteSource[], cache: BlockCache) {
    const anomalies: string[] = [];
    const parts = openParts(sources, cache, anomalies);
    this.#parts = parts;
    const { source, header } = parts[0]!;
    this.#blockSize = header.blockSize;
    this.#ram = new PageBitmap(source, header.ramBitmap, header.blocks, 0, cache);
    this.#pages = cache.space();

    const notes = readNotes(parts, anomalies);
    this.notes = notes;
    this.vmcoreinfo = readVmcoreinfo(parts) ?? first(notes.map(vmcoreinfoOf));
    const machine = header.machine ?? first(notes.map(machineOfNote));
    if (machine !== undefined) requireMachine(source.name, machine);
    for (const part of parts) noteState(part, anomalies);
    // makedumpfile keeps QEMU's notes, but always writes the release; QEMU never does. On arm64
    // QEMU writes no note of its own, nor the machine.
    const qemu =
      header.release === undefined && (header.machine === undefined || notes.some((note) => note.name === 'QEMU'));
    this.facts = {
      format: 'diskdump',
      description: describe(parts, qemu) + wrappingOf(parts[0]!.source),
      compression: compressionOf(parts),
      machine,
      release: header.release,
      // QEMU always writes 1, and filters nothing.
      dumpLevel: qemu ? undefined : header.dumpLevel,
      files: parts.map((part) => part.source.name),
      physicalRanges: { [Symbol.iterator]: () => joined(storedRanges(parts, header.blockSize)) },
      existingRanges: { [Symbol.iterator]: () => rangesOf(this.#ram.runs(0, header.blocks), header.blockSize) },
      live: false,
      anomalies,
    };
  }

  readPhysical(address: number, length: number): DataView {
    const size = this.#blockSize;
    if (!(address >= 0)) throw new ReadError('absent', BigInt(address));
    const within = address % size;
    const block = (address - within) / size;
    if (within + length <= size) {
      const page = block === this.#lastBlock ? this.#lastPage : this.#page(block, address);
      if (page.buffer instanceof SharedArrayBuffer) return viewOf(bytesOf(page, within, length).slice());
      return new DataView(page.buffer, page.byteOffset + within, length);
    }
    checkLength(address, length);
    let done = size - within;
    const head = bytesOf(this.#page(block, address)).subarray(within);
    const buffer = new Uint8Array(length);
    buffer.set(head);
    for (let next = block + 1; done < length; next++) {
      const page = bytesOf(this.#page(next, address + done));
      buffer.set(page.subarray(0, length - done), done);
      done += size;
    }
    return new DataView(buffer.buffer);
  }

  locate(address: number, length: number, window: ByteWindow): boolean {
    const block = Math.floor(address / this.#blockSize);
    const within = address - block * this.#blockSize;
    if (within + length > this.#blockSize) return false;
    window.view = block === this.#lastBlock ? this.#lastPage : this.#page(block, address);
    window.base = within;
    return true;
  }

  isZero(address: number): boolean {
    if (this.#blockSize < 4096) return false;
    const block = readOrNot(() => this.#find(Math.floor(address / this.#blockSize), address));
    return block !== undefined && block.codec === undefined && block.offset === block.part.zero.offset;
  }

  ahead(ranges: Iterable<PhysicalRange>, count: number): () => void {
    const size = this.#blockSize;
    const blocks = function* (): Generator<number> {
      let last = -1;
      for (const { start, end } of ranges) {
        const first = Math.floor(start / size);
        for (let block = first === last ? first + 1 : first; block * size < end; block++) yield block;
        last = Math.ceil(end / size) - 1;
      }
    };
    this.#ahead = ReadAhead.start(size, blocks(), count, this.#placesOf);
    return () => {
      this.#ahead?.stop();
      this.#ahead = undefined;
      // It may be in memory of the threads.
      this.#lastBlock = -1;
    };
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

  /** Returns the bytes of a block; `address` is for error messages only. */
  #page(block: number, address: number): DataView {
    let page = this.#ahead?.take(block) ?? this.#pages.get(block);
    if (page === undefined) {
      const bytes = this.#load(block, address);
      page = viewOf(bytes);
      this.#pages.set(block, page, bytes === this.#zeroPage ? ENTRY_BYTES : bytes.byteLength);
    }
    this.#lastBlock = block;
    this.#lastPage = page;
    return page;
  }

  #load(block: number, address: number): Uint8Array {
    const { part, codec, offset, size } = this.#find(block, address);
    if (codec === undefined && offset === part.zero.offset) return this.#zeroPage!;
    const data = part.data.read(offset, size);
    if (data === undefined) throw unread(part.source, offset + size, address);
    if (codec === undefined) return this.#plain(part, offset, data);
    const page = codec.inflate(data, this.#blockSize);
    if (page === undefined) throw new ReadError('damaged', BigInt(address), codec.name);
    return page;
  }

  /** Adds where the compressed bytes of a block are; returns undefined for any other block. */
  readonly #placesOf: PackedFinder = (block, add) => {
    const stored = readOrNot(() => this.#find(block, block * this.#blockSize));
    if (stored?.codec === undefined) return undefined;
    for (let done = 0; done < stored.size; ) {
      const place = stored.part.source.placeOf(stored.offset + done);
      if (!place) return undefined;
      const length = Math.min(place.length, stored.size - done);
      add(place, length);
      done += length;
    }
    return stored.codec.flag;
  };

  /** Where a block is stored, and how. */
  #find(block: number, address: number): StoredBlock {
    const part = this.#parts.find(({ start, end }) => block >= start && block < end);
    const rank = part?.stored.rank(block) ?? NOT_SET;
    if (part === undefined || rank < 0) throw this.#missing(block, address, rank, part);
    const at = part.header.descriptors + rank * DESCRIPTOR_BYTES;
    const bytes = part.descriptors.read(at, DESCRIPTOR_BYTES);
    if (bytes === undefined) throw unread(part.source, at + DESCRIPTOR_BYTES, address);
    const descriptor = readDescriptor(bytes, 0);
    const { offset, size } = descriptor;
    if (offset === 0) {
      // Disk space ran out (DUMP_DH_COMPRESSED_INCOMPLETE) before this descriptor was written.
      throw new ReadError('absent', BigInt(address), 'the dump is incomplete');
    }
    if (size === 0 || size > this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `page descriptor of ${size} bytes`);
    }
    const codec = codecOf(descriptor);
    if (codec === undefined && size !== this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `uncompressed page of ${size} bytes`);
    }
    return { part, codec, offset, size };
  }

  /** Reads an uncompressed block; the zero page, which a writer stores once per file, is cached once. */
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
    const detail = 'in a part of the split dump that was not given';
    return new ReadError('absent', BigInt(address), detail);
  }
}

/** Error for bytes up to `end` that could not be read: the file ends before, or the disk returned an error. */
function unread(source: ByteSource, end: number, address: number): ReadError {
  if (source.cut || end > source.size) return new ReadError('truncated', BigInt(address));
  return new ReadError('damaged', BigInt(address), 'read failed');
}

function* storedRanges(parts: readonly Part[], blockSize: number): Generator<PhysicalRange> {
  for (const { stored, start, end } of parts) yield* rangesOf(stored.runs(start, end), blockSize);
}

function* rangesOf(runs: Iterable<PhysicalRange>, blockSize: number): Generator<PhysicalRange> {
  for (const { start, end } of runs) yield { start: start * blockSize, end: end * blockSize };
}

function first<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}

/** VMCOREINFO fits one kernel page, at most 64 KiB. */
const MAX_VMCOREINFO_BYTES = 1 << 20;

/** Text of VMCOREINFO that the sub-header refers to, or undefined. */
function readVmcoreinfo(parts: readonly Part[]): string | undefined {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.vmcoreinfo, MAX_VMCOREINFO_BYTES);
    if (area !== undefined) return textOf(bytesOf(area));
  }
  return undefined;
}

/** Notes of the first part that has any. */
function readNotes(parts: readonly Part[], anomalies: string[]): Note[] {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.notes, MAX_NOTE_BYTES);
    if (area !== undefined) return [...notes(area)];
    if (header.notes !== undefined) anomalies.push(`${source.name}: notes truncated or too large`);
  }
  return [];
}

function readExtent(source: ByteSource, extent: Extent | undefined, limit: number): DataView | undefined {
  if (extent === undefined || extent.size > limit) return undefined;
  const view = readHead(source, extent.offset, extent.size);
  return view.byteLength === extent.size ? view : undefined;
}
