import { brotliDecompressSync, crc32 } from 'node:zlib';
import { KernelError, ReadError } from '../../../base/errors/kernel.js';
import { bytesOf, viewOf } from '../../bytes.js';
import type { ByteWindow } from '../../fast-reads.js';
import { type ByteSource, FileSource, readHead } from './byte-source.js';
import { BlockCache, CACHE_BYTES } from './cache.js';
import { dumpIn } from './directory.js';
import { diskdump } from './diskdump/diskdump.js';
import { groupBytes, type PackedGroup, packedPagesOf } from './diskdump/packed-pages.js';
import { elf } from './elf/elf.js';
import { FlattenedSource, isFlattened } from './flattened/flattened.js';
import { refuseForeign } from './foreign.js';
import type { ImageFormat } from './format.js';
import type { MemoryImage, PhysicalRange } from './image.js';
import { withKeptBytes } from './kept-bytes.js';
import { joined } from './ranges.js';
import { firstEndingAbove } from './sorted.js';
import { WrappedImage } from './wrapped-image.js';

/** Formats in the order in which they are tried. A new one is one file, and a line here. */
const FORMATS: readonly ImageFormat[] = [elf, diskdump];

export interface OpenImageOptions {
  /** Bytes that the image's cache may hold. 16 MiB unless told. */
  readonly cacheBytes?: number;
}

/** Bytes of a file that the formats' probes are shown. */
const HEAD = 65536;

/**
 * Opens a dump: one file, the parts of a split one in any order, a directory that holds one dump, or
 * /proc/kcore.
 *
 * @throws {KernelError} with one line that says what the file is, or why no format takes it.
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
  const [first, ...others] = sources as [ByteSource, ...ByteSource[]];
  const head = readHead(first, 0, HEAD);
  if (head.byteLength === 0) {
    const what = first.cut
      ? 'truncated (the flattened stream ends before its first header)'
      : 'empty file';
    throw new KernelError('truncated', `${first.name}: ${what}`);
  }
  refuseForeign(first, head);
  const refusals: string[] = [];
  for (const format of FORMATS) {
    const refusal = format.probe(head);
    if (refusal === undefined) {
      for (const other of others) refuseStranger(other, format, first);
      return withKeptBytes(withPackedPages(format.open(sources, cache)));
    }
    refusals.push(refusal);
  }
  throw new KernelError('not-a-dump', `${first.name}: unknown format (${refusals.join(', ')})`);
}

/** @throws {KernelError} for a file that cannot be another part of the dump that begins with `first` */
function refuseStranger(source: ByteSource, format: ImageFormat, first: ByteSource): void {
  const head = readHead(source, 0, HEAD);
  refuseForeign(source, head);
  const refusal = format.probe(head);
  if (refusal === undefined) return;
  const message = `${source.name}: not a part of the same dump as ${first.name} (${refusal})`;
  throw new KernelError('wrong-parts', message);
}

/** Groups that are kept unpacked: 32 MiB at most, more than the tables of any kernel. */
const MOST_UNPACKED = 8;

/** Bytes of a read that is put together of packed and other pages: more than any table has. */
const MOST_ACROSS = 64 << 20;

/** A run of packed pages, and where it lies in its group. */
interface Run extends PhysicalRange {
  readonly group: PackedGroup;
  readonly offset: number;
}

/** An image with the pages that its notes hold packed; the image itself where there are none. */
function withPackedPages(image: MemoryImage): MemoryImage {
  const groups = packedPagesOf(image.notes ?? []);
  return groups.length === 0 ? image : new PackedImage(image, groups);
}

class PackedImage extends WrappedImage {
  /** Ascending. */
  readonly #runs: readonly Run[];
  readonly #unpacked = new Map<PackedGroup, Uint8Array>();
  /** Those that do not unpack: no read tries again. */
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
    super(image, {
      physicalRanges: { [Symbol.iterator]: () => joined(merged(physicalRanges, runs)) },
    });
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
    // Across an edge: piece by piece. What is too long for any image is for that to refuse.
    if (length > MOST_ACROSS) return this.image.readPhysical(address, length);
    const whole = new Uint8Array(length);
    for (let at = address; at < end; ) {
      const packed = run !== undefined && at >= run.start;
      const pieceEnd: number = Math.min(end, packed ? run!.end : (run?.start ?? end));
      const piece: DataView = packed
        ? this.readPhysical(at, pieceEnd - at)
        : this.image.readPhysical(at, pieceEnd - at);
      whole.set(bytesOf(piece), at - address);
      at = pieceEnd;
      if (packed) run = this.#runs[++index];
    }
    return new DataView(whole.buffer);
  }

  show(address: number, length: number, window: ByteWindow): boolean {
    const run = this.#runs[firstEndingAbove(this.#runs, address)];
    const isPacked = run !== undefined && address + length > run.start;
    return !isPacked && this.image.show?.(address, length, window) === true;
  }

  #unpack(group: PackedGroup, address: number): Uint8Array {
    const known = this.#unpacked.get(group);
    if (known !== undefined) return known;
    try {
      if (this.#damaged.has(group)) throw this.#damaged.get(group);
      const bytes = unpacked(group);
      if (this.#unpacked.size >= MOST_UNPACKED) this.#unpacked.clear();
      this.#unpacked.set(group, bytes);
      return bytes;
    } catch (cause) {
      this.#damaged.set(group, cause);
      throw new ReadError('damaged', BigInt(address), 'packed pages do not decompress', { cause });
    }
  }
}

/** @throws {Error} of any kind where the bytes are none that were packed */
function unpacked(group: PackedGroup): Uint8Array {
  if (crc32(group.packed) !== group.sum) throw new RangeError('bytes have changed');
  const size = groupBytes(group);
  const bytes = brotliDecompressSync(group.packed, { maxOutputLength: size });
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes instead of ${size}`);
  if (group.differences) sumUp(bytes);
  return bytes;
}

/** From differences of 32-bit words to the words. */
function sumUp(bytes: Uint8Array): void {
  const words = viewOf(bytes);
  let last = 0;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    last = (last + words.getUint32(at, true)) >>> 0;
    words.setUint32(at, last, true);
  }
}

/** Two lists of ranges as one, by where they start. */
function* merged(
  left: Iterable<PhysicalRange>,
  right: readonly PhysicalRange[],
): Generator<PhysicalRange> {
  let next = 0;
  for (const range of left) {
    for (; next < right.length && right[next]!.start < range.start; next++) yield right[next]!;
    yield range;
  }
  yield* right.slice(next);
}
