import { CUT_STREAM } from '../byte-source.js';
import { CHUNK, type ChunkedSource } from '../cache.js';
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
} from './header.js';
import type { Part } from './parts.js';

/** Larger bitmaps are not counted to the end merely to detect truncation. */
const MAX_BLOCKS_COUNTED = 2 ** 29;

/** Records problems from writing or copying the file. */
export function noteState(
  { source, header, end, stored, descriptors }: Part,
  anomalies: string[],
): void {
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
      const descriptor = readDescriptor(bytes, i);
      const codec = codecOf(descriptor);
      if (codec !== undefined) found.add(codec.name);
      else plain.add(descriptor.offset);
    }
    // A single plain page may be the shared zero page.
    if (plain.size > 1 || (plain.size === 1 && found.size === 0)) found.add('none');
  }
  return [...found];
}

/** Description for users: the version, the writer, the number of parts given. */
export function describe(parts: readonly Part[], qemu: boolean): string {
  const { header } = parts[0]!;
  const by = qemu ? ', by QEMU' : '';
  const split =
    header.split === undefined
      ? ''
      : `, ${parts.length === 1 ? '1 part' : `${parts.length} parts`} of a split dump`;
  return `kdump compressed, version ${header.version}${by}${split}`;
}
