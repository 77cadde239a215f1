import { KernelError } from '../../error.js';
import { type ByteSource, FileSource, readHead } from './byte-source.js';
import { BlockCache, CACHE_BYTES } from './cache.js';
import { dumpIn } from './directory.js';
import { diskdump } from './diskdump/diskdump.js';
import { withPackedPages } from './diskdump/packed-image.js';
import { elf } from './elf/elf.js';
import { FlattenedSource, isFlattened } from './flattened/flattened.js';
import { refuseForeign } from './foreign.js';
import type { ImageFormat } from './format.js';
import type { MemoryImage } from './image.js';
import { withKeptBytes } from './kept-bytes.js';

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
  if (files.length === 0) throw new KernelError('no-such-file', 'no dump is named');
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
    const what = first.cut ? 'is a flattened stream that ends before its first header' : 'is empty';
    throw new KernelError('truncated', `${first.name} ${what}`);
  }
  refuseForeign(first, head);
  const refusals: string[] = [];
  for (const format of FORMATS) {
    const refusal = format.probe(head);
    if (refusal === undefined) {
      for (const other of others) refuseStranger(other, format, first);
      return withKeptBytes(withPackedPages(format.open(sources, cache)));
    }
    refusals.push(`${format.name}: ${refusal}`);
  }
  throw new KernelError(
    'not-a-dump',
    `${first.name} is no dump that is known (${refusals.join('; ')})`,
  );
}

/** @throws {KernelError} for a file that cannot be another part of the dump that begins with `first` */
function refuseStranger(source: ByteSource, format: ImageFormat, first: ByteSource): void {
  const head = readHead(source, 0, HEAD);
  refuseForeign(source, head);
  const refusal = format.probe(head);
  if (refusal === undefined) return;
  const message = `${source.name} is no part of the dump in ${first.name} (${format.name}: ${refusal})`;
  throw new KernelError('wrong-parts', message);
}
