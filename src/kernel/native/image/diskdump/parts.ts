import { KernelError } from '../../../../base/errors.js';
import { hex } from '../../../../base/hex.js';
import type { ByteSource } from '../byte-source.js';
import { type BlockCache, ChunkedSource } from '../cache.js';
import { type DiskdumpHeader, readDiskdumpHeader } from './header.js';
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
export function openParts(
  sources: readonly ByteSource[],
  cache: BlockCache,
  anomalies: string[],
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
      const message = `${name}: not a part of a split dump, but ${parts.length} files were given`;
      throw new KernelError('wrong-parts', message);
    }
    if (part.header.identity !== header.identity) {
      throw new KernelError(
        'wrong-parts',
        `${name}: not a part of the same dump as ${source.name}`,
      );
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
