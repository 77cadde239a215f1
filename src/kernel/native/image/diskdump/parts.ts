import { KernelError } from '../../../../base/errors.js';
import { hex } from '../../../../base/util.js';
import { type ByteSource, CUT_STREAM } from '../byte-source.js';
import { type BlockCache, CHUNK, ChunkedSource } from '../cache.js';
import {
  CODECS,
  type Compression,
  codecOf,
  DESCRIPTOR_BYTES,
  type DiskdumpHeader,
  DUMP_DH_COMPRESSED_INCOMPLETE,
  DUMP_DH_EXCLUDED_VMEMMAP,
  isNewerVersion,
  readDescriptor,
  readDiskdumpHeader,
} from './header.js';
import { PageBitmap } from './page-bitmap.js';

/** One file: all of the dump, or one part of a split dump. */
export interface Part {
  readonly source: ByteSource;
  readonly header: DiskdumpHeader;
  /** The blocks in this file, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  readonly stored: PageBitmap;
  readonly descriptors: ChunkedSource;
  readonly data: ChunkedSource;
  /** File offset of the page that all zero pages share; -1 until one was read. */
  readonly zero: { offset: number };
}

/**
 * Opens the parts of a dump, in the order of their blocks.
 *
 * @param anomalies receives a line for each missing part
 * @throws {KernelError} `wrong-parts` for files of different dumps; errors of the headers
 */
export function openParts(sources: readonly ByteSource[], cache: BlockCache, anomalies: string[]): readonly Part[] {
  const parts = sources.map((source) => openPart(source, cache));
  const { source, header } = parts[0]!;
  if (header.split === undefined && parts.length === 1) return parts;
  parts.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  let previous: Part | undefined;
  for (const part of parts) {
    const { name } = part.source;
    if (part.header.split === undefined) {
      const message = `${name}: not a part of a split dump, but ${parts.length} files were given`;
      throw new KernelError('wrong-parts', message);
    }
    if (part.header.identity !== header.identity) {
      throw new KernelError('wrong-parts', `${name}: not a part of the same dump as ${source.name}`);
    }
    if (previous !== undefined && part.start < end && part.start < part.end) {
      const message = `${name}: the same part of the split dump as ${previous.source.name}`;
      throw new KernelError('wrong-parts', message);
    }
    noteGap(end, part.start, header.blockSize, anomalies);
    end = Math.max(end, part.end);
    previous = part;
  }
  noteGap(end, header.blocks, header.blockSize, anomalies);
  return parts;
}

function noteGap(from: number, to: number, blockSize: number, anomalies: string[]): void {
  if (from >= to) return;
  const range = `${hex(from * blockSize)} to ${hex(to * blockSize)}`;
  anomalies.push(`physical memory ${range} missing (a part of the split dump was not given)`);
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

/** Larger bitmaps are not counted to the end merely to detect truncation. */
const MAX_BLOCKS_COUNTED = 2 ** 29;

/** Records problems from writing or copying the file. */
export function noteState({ source, header, end, stored, descriptors }: Part, anomalies: string[]): void {
  const where = header.split === undefined ? '' : ` (${source.name})`;
  if (isNewerVersion(header.version)) {
    anomalies.push(`header version ${header.version} is newer than supported${where}`);
  }
  if ((header.status & DUMP_DH_COMPRESSED_INCOMPLETE) !== 0) {
    anomalies.push(`dump incomplete (out of disk space during the dump)${where}`);
  }
  if ((header.status & DUMP_DH_EXCLUDED_VMEMMAP) !== 0) {
    anomalies.push(`some struct pages excluded (makedumpfile -e)${where}`);
  }
  if (header.eraseinfo !== undefined) {
    anomalies.push(`data erased by makedumpfile (eraseinfo)${where}`);
  }
  if (source.cut) anomalies.push(`${CUT_STREAM}${where}`);
  if (source.cut || header.blocks > MAX_BLOCKS_COUNTED) return;
  const needed = bytesNeeded(header, stored.countTo(end), descriptors);
  if (needed > source.size) {
    anomalies.push(`truncated (needs at least ${needed} bytes, has ${source.size})${where}`);
  }
}

/** End of the last page's data, as far as the descriptors are present. */
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

/** Compressions in the header's flags and in the first descriptors. */
export function compressionOf(parts: readonly Part[]): Compression[] {
  const methods = new Set<Compression>();
  for (const { header, stored, end, descriptors } of parts) {
    for (const { flag, name } of CODECS) if ((header.status & flag) !== 0) methods.add(name);
    const count = Math.min(
      Math.max(0, stored.countTo(Math.min(end, header.split?.start ?? 0) + 32768)),
      Math.floor(CHUNK / DESCRIPTOR_BYTES),
    );
    const bytes = descriptors.read(header.descriptors, count * DESCRIPTOR_BYTES);
    if (bytes === undefined) continue;
    const plain = new Set<number>();
    for (let i = 0; i < count; i++) {
      const descriptor = readDescriptor(bytes, i);
      const codec = codecOf(descriptor);
      if (codec !== undefined) methods.add(codec.name);
      else plain.add(descriptor.offset);
    }
    // A single plain page may be the shared zero page.
    if (plain.size > 1 || (plain.size === 1 && methods.size === 0)) methods.add('none');
  }
  return [...methods];
}

/** Description for users: the version, the writer, the number of parts given. */
export function describe(parts: readonly Part[], qemu: boolean): string {
  const { header } = parts[0]!;
  const by = qemu ? ', by QEMU' : '';
  const split =
    header.split === undefined ? '' : `, ${parts.length === 1 ? '1 part' : `${parts.length} parts`} of a split dump`;
  return `kdump compressed, version ${header.version}${by}${split}`;
}
