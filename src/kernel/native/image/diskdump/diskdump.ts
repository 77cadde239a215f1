import { ReadError } from '../../../../base/errors/kernel.js';
import { bytesOf, textOf, viewOf } from '../../../bytes.js';
import type { ByteWindow } from '../../../fast-reads.js';
import { type ByteSource, readHead, wrappingOf } from '../byte-source.js';
import type { BlockCache, CacheSpace } from '../cache.js';
import type { ImageFormat } from '../format.js';
import type { ImageFacts, MemoryImage, PhysicalRange } from '../image.js';
import { refuseLength } from '../longest-read.js';
import { requireMachine } from '../machine.js';
import { MOST_NOTE_BYTES, machineOfNote, type Note, notes, vmcoreinfoOf } from '../notes.js';
import { joined } from '../ranges.js';
import { codecOf, readDescriptor } from './descriptor.js';
import { DESCRIPTOR_BYTES } from './format.js';
import { type Extent, isKdumpCompressed } from './header.js';
import { CUT, NOT_SET, PageBitmap } from './page-bitmap.js';
import { openParts, type Part } from './parts.js';
import { compressionOf, describe, noteState } from './state.js';

/** "kdump compressed", as makedumpfile and QEMU write it; the parts of a split one are given together. */
export const diskdump: ImageFormat = {
  name: 'kdump compressed',
  probe: (head) => (isKdumpCompressed(head) ? undefined : 'no KDUMP header'),
  open: (sources, cache) => new DiskdumpImage(sources, cache),
};

/** What an entry of the cache weighs by itself. */
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
  /** The page of all zero pages, once one was seen. */
  #zeroPage: Uint8Array | undefined;

  constructor(sources: readonly ByteSource[], cache: BlockCache) {
    const anomalies: string[] = [];
    const parts = openParts(sources, cache, anomalies);
    this.#parts = parts;
    const { source, header } = parts[0]!;
    this.#blockSize = header.blockSize;
    this.#ram = new PageBitmap(source, header.ramBitmap, header.blocks, 0, cache);
    this.#pages = cache.space();

    const found = readNotes(parts, anomalies);
    this.notes = found;
    this.vmcoreinfo = readVmcoreinfo(parts) ?? first(found.map(vmcoreinfoOf));
    const machine = header.machine ?? first(found.map(machineOfNote));
    if (machine !== undefined) requireMachine(source.name, machine);
    for (const part of parts) noteState(part, anomalies);
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
      physicalRanges: { [Symbol.iterator]: () => joined(storedRanges(parts, header.blockSize)) },
      existingRanges: {
        [Symbol.iterator]: () => rangesOf(this.#ram.runs(0, header.blocks), header.blockSize),
      },
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

  show(address: number, length: number, window: ByteWindow): boolean {
    const block = Math.floor(address / this.#blockSize);
    const within = address - block * this.#blockSize;
    if (within + length > this.#blockSize) return false;
    window.view = block === this.#lastBlock ? this.#lastPage : this.#page(block, address);
    window.base = within;
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
      page = viewOf(bytes);
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
    const descriptor = readDescriptor(bytes, 0);
    const { offset, size } = descriptor;
    if (offset === 0) {
      // Space ran out (DUMP_DH_COMPRESSED_INCOMPLETE) before this descriptor was written.
      throw new ReadError('absent', BigInt(address), 'the dump is incomplete');
    }
    if (size === 0 || size > this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `page descriptor of ${size} bytes`);
    }
    const codec = codecOf(descriptor);
    if (codec === undefined && size !== this.#blockSize) {
      throw new ReadError('damaged', BigInt(address), `uncompressed page of ${size} bytes`);
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
    const detail = 'in a part of the split dump that was not given';
    return new ReadError('absent', BigInt(address), detail);
  }
}

/** Why bytes that end at `end` could not be read: they are not there, or the disk refuses. */
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

/** The text of VMCOREINFO fits one page of the kernel's, 64 KiB at most. */
const MOST_VMCOREINFO_BYTES = 1 << 20;

/** The text of VMCOREINFO that the sub-header leads to, or undefined. */
function readVmcoreinfo(parts: readonly Part[]): string | undefined {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.vmcoreinfo, MOST_VMCOREINFO_BYTES);
    if (area !== undefined) return textOf(bytesOf(area));
  }
  return undefined;
}

/** The notes of the first part that has them. */
function readNotes(parts: readonly Part[], anomalies: string[]): Note[] {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.notes, MOST_NOTE_BYTES);
    if (area !== undefined) return [...notes(area)];
    if (header.notes !== undefined) anomalies.push(`${source.name}: notes truncated or too large`);
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
