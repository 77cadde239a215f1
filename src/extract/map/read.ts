import fs from 'node:fs';
import type { ZodError } from 'zod';
import { KernelError } from '../../base/errors.js';
import { bytesOf, viewOf } from '../../kernel/bytes.js';
import { lastAtOrBelow, type MemoryImage, WrappedImage } from '../../kernel/native/parts.js';
import type { MapJson } from './schema.js';
import { identityOf, MAX_MAP_BYTES } from './write.js';

/**
 * Restores the names of an anonymous extract: all answers are then those of the original dump.
 *
 * @param image the extract, wrapped by the result; not closed if this throws
 * @throws {KernelError} `wrong-map` if the file is no map, or the map of another extract
 */
export async function restored(image: MemoryImage, file: string): Promise<MemoryImage> {
  const map = await parse(file, readBounded(file));
  const [extract, ...others] = image.facts.files;
  const size = extract === undefined ? -1 : fs.statSync(extract).size;
  const isIts =
    extract !== undefined &&
    others.length === 0 &&
    size === map.extract.sizeBytes &&
    (await identityOf(extract)).sha256 === map.extract.sha256;
  if (!isIts) throw new KernelError('wrong-map', `${file}: map of a different extract`);
  let end = 0;
  for (const [at, hex] of map.places) {
    if (at < end) throw new KernelError('wrong-map', `${file}: malformed map (offsets out of order)`);
    end = at + hex.length / 2;
  }
  return new RestoredImage(image, map.places);
}

function readBounded(file: string): string {
  const fd = fs.openSync(file, 'r');
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw new KernelError('wrong-map', `${file}: not a regular file`);
    const { size } = stat;
    if (size > MAX_MAP_BYTES) throw new KernelError('wrong-map', `${file}: file too large for a map`);
    const bytes = Buffer.alloc(size);
    let done = 0;
    for (let read = -1; read !== 0 && done < size; done += read) read = fs.readSync(fd, bytes, done, size - done, done);
    return bytes.toString('utf8', 0, done);
  } finally {
    fs.closeSync(fd);
  }
}

async function parse(file: string, text: string): Promise<MapJson> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new KernelError('wrong-map', `${file}: malformed map (not JSON)`, { cause });
  }
  // zod is half of the program's code, so load it only to read a map.
  const { mapSchema } = await import('./schema.js');
  const { success, data, error } = mapSchema.safeParse(value);
  if (!success) throw new KernelError('wrong-map', `${file}: malformed map (${firstIssue(error)})`);
  return data;
}

function firstIssue({ issues }: ZodError): string {
  const [issue] = issues;
  return `${issue?.path.join('.') || 'it'}: ${issue?.message ?? ''}`.slice(0, MAX_WORDS);
}

const MAX_WORDS = 200;

/** Overlays other bytes at some places of physical memory, if they exist in the image. */
class RestoredImage extends WrappedImage {
  readonly #starts: Float64Array;
  readonly #bytes: readonly Uint8Array[];

  /** @param places in ascending order, without overlap */
  constructor(image: MemoryImage, places: MapJson['places']) {
    super(image, {});
    this.#starts = Float64Array.from(places, ([at]) => at);
    this.#bytes = places.map(([, hex]) => Buffer.from(hex, 'hex'));
  }

  readPhysical(address: number, length: number): DataView {
    const view = this.image.readPhysical(address, length);
    const end = address + length;
    let changed: Uint8Array | undefined;
    const first = Math.max(0, lastAtOrBelow(this.#starts, address));
    for (let index = first; index < this.#starts.length && this.#starts[index]! < end; index++) {
      const bytes = this.#bytes[index]!;
      const start = this.#starts[index]!;
      const from = Math.max(start, address);
      const to = Math.min(start + bytes.length, end);
      if (from >= to) continue;
      changed ??= bytesOf(view, 0, length).slice();
      changed.set(bytes.subarray(from - start, to - start), from - address);
    }
    return changed === undefined ? view : viewOf(changed);
  }
}
