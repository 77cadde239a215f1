import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { ExtractError } from '../../base/errors.js';
import type { OutputFile } from '../../base/output-file.js';
import { formatJson } from '../../base/util.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { MemoryImage } from '../../kernel/native/parts.js';
import { NAME_KINDS, type Patches, type Replacements } from '../anonymize/replacements.js';
import type { KeptPages } from '../kept-pages.js';
import { Appender } from '../write/diskdump.js';

/**
 * Writes the map of an anonymous extract, one place per line.
 *
 * @param file will be finished
 * @throws {ExtractError} `cannot-write`
 */
export function writeMap(
  file: OutputFile,
  extract: FileIdentity,
  names: Replacements,
  places: Iterable<TruePlace>,
): void {
  const appender = new Appender(file, 0);
  const put = (text: string): void => {
    const bytes = Buffer.from(text, 'latin1');
    if (appender.position + bytes.length > MAX_MAP_BYTES)
      throw new ExtractError('cannot-write', `${file.path}: too many replacements for one map`);
    appender.append(bytes);
  };
  put(`{"schema":"kdump-mem.map/1",\n"extract":${formatJson(extract)}`);
  for (const kind of NAME_KINDS) {
    put(`,\n"${kind}":[`);
    let before = '\n';
    for (const replacement of names.of(kind)) {
      put(before + formatJson(replacement));
      before = ',\n';
    }
    put(']');
  }
  put(',\n"places":[');
  let before = '\n';
  for (const { at, bytes } of places) {
    for (let from = 0; from < bytes.length; from += LONGEST_PLACE) {
      const part = bytes.subarray(from, from + LONGEST_PLACE);
      put(`${before}[${at + from},"${Buffer.from(part).toString('hex')}"]`);
      before = ',\n';
    }
  }
  put(']}\n');
  appender.flush();
  file.finish();
}

/** Same limit as in the schema. */
const LONGEST_PLACE = 4096;

/** Original bytes that an anonymous extract replaces. */
interface TruePlace {
  /** Physical address. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The original data of patches, as far as it is kept, ordered by address. */
export function* truePlaces(image: MemoryImage, kept: KeptPages, patches: Patches): Generator<TruePlace> {
  const { pageSize } = kept;
  const isPatched = new Uint8Array(pageSize);
  const made = new Uint8Array(pageSize);
  for (const page of [...patches.keys()].sort((a, b) => a - b)) {
    isPatched.fill(0);
    for (const { at, bytes } of patches.get(page) ?? []) {
      made.set(bytes, at);
      for (let byte = at; byte < at + bytes.length; byte++) if (kept.keepsAny(page, byte, 1)) isPatched[byte] = 1;
    }
    for (let from = isPatched.indexOf(1); from >= 0; ) {
      const next = isPatched.indexOf(0, from);
      const end = next < 0 ? pageSize : next;
      const at = page * pageSize + from;
      const bytes = bytesOf(image.readPhysical(at, end - from)).slice();
      if (bytes.some((byte, index) => byte !== made[from + index])) yield { at, bytes };
      from = isPatched.indexOf(1, end);
    }
  }
}

/** Identity of a file by its content. */
interface FileIdentity {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** @throws the errors of reading a file */
export async function identityOf(file: string): Promise<FileIdentity> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of fs.createReadStream(file)) {
    hash.update(piece as Buffer);
    sizeBytes += (piece as Buffer).length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** Maximum size of a map: that of half a million sockets. */
export const MAX_MAP_BYTES = 64 << 20;
