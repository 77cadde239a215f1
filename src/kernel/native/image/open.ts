import { statSync } from 'node:fs';
import { brotliDecompressSync, crc32 } from 'node:zlib';
import { KernelError, ReadError } from '../../../base/errors.js';
import type { DumpFacts } from '../../../contracts/info.js';
import { type ByteWindow, bytesOf, viewOf } from '../../bytes.js';
import { type ByteSource, FileSource, readHead } from './byte-source.js';
import { BlockCache, CACHE_BYTES } from './cache.js';
import { diskdump } from './diskdump/diskdump.js';
import { groupBytes, type PackedGroup, packedPagesOf } from './diskdump/packed-pages.js';
import { elf } from './elf/elf.js';
import { FlattenedSource, isFlattened } from './flattened/flattened.js';
import { dumpIn, rejectForeign } from './foreign.js';
import {
  filteredKinds,
  firstEndingAbove,
  type ImageFormat,
  joined,
  type MemoryImage,
  type PhysicalRange,
  WrappedImage,
} from './image.js';
import { withKeptBytes } from './kept-bytes.js';

/** Formats in probing order. A new format is one file, and a line here. */
const FORMATS: readonly ImageFormat[] = [elf, diskdump];

export interface OpenImageOptions {
  /** Size of the image's cache in bytes (default 16 MiB). */
  readonly cacheBytes?: number;
}

/** Number of bytes of a file that the format probes see. */
const HEAD = 65536;

/**
 * Opens a dump: one file, the parts of a split dump in any order, a directory that contains one
 * dump, or /proc/kcore.
 *
 * @throws {KernelError} with one line that describes the file, or why no format accepts it.
 */
export function openImage(files: readonly string[], options: OpenImageOptions = {}): MemoryImage {
  if (files.length === 0) throw new KernelError('no-such-file', 'no dump given');
  const sources: ByteSource[] = [];
  try {
    for (const file of files) {
      const source = new FileSource(dumpIn(file));
      sources.push(source);
      sources[sources.length - 1] = unflattened(source);
    }
    return openSources(sources, new BlockCache(options.cacheBytes ?? CACHE_BYTES));
  } catch (error) {
    for (const source of sources) source.close();
    throw error;
  }
}

function unflattened(source: ByteSource): ByteSource {
  return isFlattened(readHead(source, 0, 16)) ? new FlattenedSource(source) : source;
}

function openSources(sources: readonly ByteSource[], cache: BlockCache): MemoryImage {
  const [first, ...rest] = sources as [ByteSource, ...ByteSource[]];
  const head = readHead(first, 0, HEAD);
  if (head.byteLength === 0) {
    const problem = first.cut ? 'truncated (the flattened stream ends before its first header)' : 'empty file';
    throw new KernelError('truncated', `${first.name}: ${problem}`);
  }
  rejectForeign(first, head);
  const refusals: string[] = [];
  for (const format of FORMATS) {
    const refusal = format.probe(head);
    if (refusal === undefined) {
      for (const part of rest) checkSameDump(part, format, first);
      return withKeptBytes(withPackedPages(format.open(sources, cache)));
    }
    refusals.push(refusal);
  }
  throw new KernelError('not-a-dump', `${first.name}: unknown format (${refusals.join(', ')})`);
}

/** @throws {KernelError} for a file that cannot be another part of the dump that begins with `first` */
function checkSameDump(source: ByteSource, format: ImageFormat, first: ByteSource): void {
  const head = readHead(source, 0, HEAD);
  rejectForeign(source, head);
  const refusal = format.probe(head);
  if (refusal === undefined) return;
  const message = `${source.name}: not a part of the same dump as ${first.name} (${refusal})`;
  throw new KernelError('wrong-parts', message);
}

/** Maximum number of unpacked groups in memory: 32 MiB, more than the tables of any kernel. */
const MAX_UNPACKED = 8;

/** Maximum bytes of a read that spans packed and other pages: more than any table needs. */
const MAX_ACROSS = 64 << 20;

/** A run of packed pages, and its position in its group. */
interface Run extends PhysicalRange {
  readonly group: PackedGroup;
  readonly offset: number;
}

/** Returns an image that includes the packed pages from its notes; the image itself if there are none. */
function withPackedPages(image: MemoryImage): MemoryImage {
  const groups = packedPagesOf(image.notes ?? []);
  return groups.length === 0 ? image : new PackedImage(image, groups);
}

class PackedImage extends WrappedImage {
  /** Ascending. */
  readonly #runs: readonly Run[];
  readonly #unpacked = new Map<PackedGroup, Uint8Array>();
  /** Groups that cannot be unpacked: not tried again. */
  readonly #damaged = new Map<PackedGroup, unknown>();

  constructor(image: MemoryImage, groups: readonly PackedGroup[]) {
    const runs: Run[] = [];
    for (const group of groups) {
      let offset = 0;
      for (const { start, end } of group.runs) {
        if (end > start) runs.push({ start, end, group, offset });
        offset += end - start;
      }
    }
    const { physicalRanges } = image.facts;
    super(image, { physicalRanges: { [Symbol.iterator]: () => joined(merged(physicalRanges, runs)) } });
    this.#runs = runs;
  }

  readPhysical(address: number, length: number): DataView {
    const end = address + length;
    let index = firstEndingAbove(this.#runs, address);
    let run = this.#runs[index];
    if (run === undefined || end <= run.start) return this.image.readPhysical(address, length);
    if (address >= run.start && end <= run.end) {
      const bytes = this.#unpack(run.group, address);
      const at = run.offset + address - run.start;
      return new DataView(bytes.buffer, bytes.byteOffset + at, length);
    }
    // Spans a boundary: read in pieces. Excessive lengths are rejected by the image itself.
    if (length > MAX_ACROSS) return this.image.readPhysical(address, length);
    const buffer = new Uint8Array(length);
    for (let at = address; at < end; ) {
      const packed = run !== undefined && at >= run.start;
      const pieceEnd: number = Math.min(end, packed ? run!.end : (run?.start ?? end));
      const piece: DataView = packed
        ? this.readPhysical(at, pieceEnd - at)
        : this.image.readPhysical(at, pieceEnd - at);
      buffer.set(bytesOf(piece), at - address);
      at = pieceEnd;
      if (packed) run = this.#runs[++index];
    }
    return new DataView(buffer.buffer);
  }

  locate(address: number, length: number, window: ByteWindow): boolean {
    const run = this.#runs[firstEndingAbove(this.#runs, address)];
    const isPacked = run !== undefined && address + length > run.start;
    return !isPacked && this.image.locate?.(address, length, window) === true;
  }

  #unpack(group: PackedGroup, address: number): Uint8Array {
    const known = this.#unpacked.get(group);
    if (known !== undefined) return known;
    try {
      if (this.#damaged.has(group)) throw this.#damaged.get(group);
      const bytes = unpacked(group);
      if (this.#unpacked.size >= MAX_UNPACKED) this.#unpacked.clear();
      this.#unpacked.set(group, bytes);
      return bytes;
    } catch (cause) {
      this.#damaged.set(group, cause);
      throw new ReadError('damaged', BigInt(address), 'packed pages do not decompress', { cause });
    }
  }
}

/** @throws {Error} of any kind if the bytes are corrupt */
function unpacked(group: PackedGroup): Uint8Array {
  if (crc32(group.packed) !== group.sum) throw new RangeError('bytes have changed');
  const size = groupBytes(group);
  const bytes = brotliDecompressSync(group.packed, { maxOutputLength: size });
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
  if (group.differences) sumUp(bytes);
  return bytes;
}

/** Converts differences of 32-bit words back to the words. */
function sumUp(bytes: Uint8Array): void {
  const words = viewOf(bytes);
  let last = 0;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    last = (last + words.getUint32(at, true)) >>> 0;
    words.setUint32(at, last, true);
  }
}

/** Merges two lists of ranges in order of their starts. */
function* merged(left: Iterable<PhysicalRange>, right: readonly PhysicalRange[]): Generator<PhysicalRange> {
  let next = 0;
  for (const range of left) {
    for (; next < right.length && right[next]!.start < range.start; next++) yield right[next]!;
    yield range;
  }
  yield* right.slice(next);
}

/** A filtered terabyte has millions of ranges; counting stops after this many. */
const MAX_RANGES = 2_000_000;

/** Describes an image, and counts its memory. */
export function describeDump(image: MemoryImage): DumpFacts {
  const { physicalRanges, files, format, description, compression, machine, dumpLevel, live, anomalies } = image.facts;
  let storedBytes = 0;
  let ranges = 0;
  for (const { start, end } of physicalRanges) {
    if (++ranges > MAX_RANGES) break;
    storedBytes += end - start;
  }
  return {
    files: files.map((path) => ({ path, bytes: sizeOf(path) })),
    format,
    description,
    compression,
    machine: machine ?? null,
    dumpLevel: dumpLevel ?? null,
    filtered: dumpLevel === undefined ? null : filteredKinds(dumpLevel),
    storedBytes,
    storedExact: ranges <= MAX_RANGES,
    live,
    anomalies,
  };
}

/** /proc/kcore's size is meaningless. */
function sizeOf(path: string): number {
  return path === '/proc/kcore' ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
}
