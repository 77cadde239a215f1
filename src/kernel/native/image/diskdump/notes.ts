import { bytesOf, textOf } from '../../../bytes.js';
import { type ByteSource, readHead } from '../byte-source.js';
import { MOST_NOTE_BYTES, type Note, notes } from '../notes.js';
import type { Extent } from './header.js';
import type { Part } from './parts.js';

/** The text of VMCOREINFO fits one page of the kernel's, 64 KiB at most. */
const MOST_VMCOREINFO_BYTES = 1 << 20;

/** The text of VMCOREINFO that the sub-header leads to, or undefined. */
export function readVmcoreinfo(parts: readonly Part[]): string | undefined {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.vmcoreinfo, MOST_VMCOREINFO_BYTES);
    if (area !== undefined) return textOf(bytesOf(area));
  }
  return undefined;
}

/** The notes of the first part that has them. */
export function readNotes(parts: readonly Part[], oddities: string[]): Note[] {
  for (const { source, header } of parts) {
    const area = readExtent(source, header.notes, MOST_NOTE_BYTES);
    if (area !== undefined) return [...notes(area)];
    if (header.notes !== undefined) oddities.push(`notes are cut or too large in ${source.name}`);
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
