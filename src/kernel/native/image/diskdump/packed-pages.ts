import { brotliCompressSync, constants, crc32 } from 'node:zlib';
import { KernelError } from '../../../../base/errors.js';
import { bytesOf, viewOf } from '../../../bytes.js';
import type { PhysicalRange } from '../image.js';
import { VarintReader, VarintWriter } from '../kept-bytes.js';
import type { Note } from '../notes.js';

/** Owner name of kdump-mem's notes: crash and makedumpfile skip unknown types. */
const NAME = 'kdump-mem';
const TYPE = 0x4b434150;
const VERSION = 1;
const MAX_PAGE_SHIFT = 16;
/** Maximum unpacked size of a group in bytes. */
export const MAX_GROUP_BYTES = 4 << 20;
const MAX_GROUPS = 64;
/** Maximum runs of pages in a group: more than it can have pages indicates corruption. */
const MAX_RUNS = MAX_GROUP_BYTES / 4096;

/**
 * Pages compressed together: with 4 KiB pages, individual compression takes half as much space
 * again. `kdump-mem extract` stores tables that only kdump-mem reads in this form.
 */
export interface PackedGroup {
  /** Physical memory in the group, ascending, page by page. */
  readonly runs: readonly PhysicalRange[];
  /** The data is differences of 32-bit words, each from the previous one. */
  readonly differences: boolean;
  /** Brotli data; Brotli does not detect corruption. */
  readonly packed: Uint8Array;
  /** CRC-32 of `packed`. */
  readonly sum: number;
}

export function groupBytes({ runs }: Pick<PackedGroup, 'runs'>): number {
  return runs.reduce((sum, { start, end }) => sum + (end - start), 0);
}

/** Packs runs of memory. `differences` improves the compression of tables of ascending 32-bit words. */
export function packGroup(runs: readonly PhysicalRange[], bytes: Uint8Array, differences: boolean): PackedGroup {
  const data = Uint8Array.from(bytes);
  if (differences) {
    const words = viewOf(data);
    let last = 0;
    for (let at = 0; at + 4 <= data.length; at += 4) {
      const word = words.getUint32(at, true);
      words.setUint32(at, word - last, true);
      last = word;
    }
  }
  const params = {
    // Level 9 takes twice as long and saves 1 %; 10 takes ten times as long and 25 MB more, and saves 6 %.
    [constants.BROTLI_PARAM_QUALITY]: 6,
    // Most matches are multiples of 4 bytes away.
    [constants.BROTLI_PARAM_NPOSTFIX]: 2,
    [constants.BROTLI_PARAM_LGWIN]: Math.log2(MAX_GROUP_BYTES),
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  };
  const packed = brotliCompressSync(data, { params });
  return { runs, differences, packed, sum: crc32(packed) };
}

/**
 * The note that contains the groups: a version, log2 of the page size, then LEB128 numbers: the
 * number of groups, and for each group the number of runs, for each run the pages since the
 * previous one's end and its length in pages, whether it contains differences, and the size and
 * checksum of its packed data; then the data of all groups.
 *
 * @param groups in address order
 */
export function packedPagesNote(pageSize: number, groups: readonly PackedGroup[]): Note {
  const numbers = new VarintWriter();
  numbers.push(groups.length);
  let page = 0;
  for (const { runs, differences, packed, sum } of groups) {
    numbers.push(runs.length);
    for (const { start, end } of runs) {
      numbers.push(start / pageSize - page);
      numbers.push((end - start) / pageSize);
      page = end / pageSize;
    }
    numbers.push(differences ? 1 : 0);
    numbers.push(packed.length);
    numbers.push(sum);
  }
  const head = Uint8Array.of(VERSION, Math.log2(pageSize));
  const bytes = Buffer.concat([head, numbers.bytes, ...groups.map(({ packed }) => packed)]);
  return { name: NAME, type: TYPE, data: viewOf(bytes) };
}

/** @throws {KernelError} `damaged` when such a note is malformed */
export function packedPagesOf(notes: readonly Note[]): PackedGroup[] {
  const note = notes.find(({ name, type }) => name === NAME && type === TYPE);
  if (note === undefined) return [];
  const bytes = bytesOf(note.data);
  const [version, shift = MAX_PAGE_SHIFT + 1] = bytes;
  if (version !== undefined && version !== VERSION) {
    const message = `the extract was written by a newer kdump-mem (packed pages version ${version})`;
    throw new KernelError('unsupported-format', message);
  }
  if (shift > MAX_PAGE_SHIFT) throw damaged(`page size 2^${shift}`);
  const pageSize = 2 ** shift;
  const reader = new VarintReader(bytes.subarray(2), damaged);
  const number = (limit: number, field: string): number => {
    const value = reader.next();
    if (value === undefined || value > limit) throw damaged(`${value} ${field}`);
    return value;
  };
  const heads: { runs: PhysicalRange[]; differences: boolean; size: number; sum: number }[] = [];
  let page = 0;
  for (let groupsLeft = number(MAX_GROUPS, 'groups'); groupsLeft > 0; groupsLeft--) {
    const runs: PhysicalRange[] = [];
    for (let runsLeft = number(MAX_RUNS, 'runs'); runsLeft > 0; runsLeft--) {
      const start = page + number(2 ** 40, 'pages between runs');
      page = start + number(MAX_GROUP_BYTES / pageSize, 'pages in a run');
      runs.push({ start: start * pageSize, end: page * pageSize });
    }
    if (groupBytes({ runs }) > MAX_GROUP_BYTES) throw damaged('group too large');
    const differences = number(1, 'as a flag') === 1;
    const size = number(bytes.length, 'bytes');
    heads.push({ runs, differences, size, sum: number(2 ** 32, 'as a checksum') });
  }
  let at = 2 + reader.at;
  return heads.map(({ size, ...group }) => {
    const packed = bytes.subarray(at, at + size);
    if (packed.length < size) throw damaged('truncated');
    at += size;
    return { ...group, packed };
  });
}

function damaged(how: string): KernelError {
  return new KernelError('damaged', `extract: malformed packed pages (${how})`);
}
