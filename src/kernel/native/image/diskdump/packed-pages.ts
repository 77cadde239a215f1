import { brotliCompressSync, constants, crc32 } from 'node:zlib';
import { KernelError } from '../../../../base/errors/kernel.js';
import { bytesOf, viewOf } from '../../../bytes.js';
import type { PhysicalRange } from '../image.js';
import type { Note } from '../notes.js';
import { VarintReader, VarintWriter } from '../varints.js';

/** A note of ours: crash and makedumpfile pass over types that they don't know. */
const NAME = 'kdump-mem';
const TYPE = 0x4b434150;
const VERSION = 1;
const MOST_PAGE_SHIFT = 16;
/** Bytes that a group unpacks to at most. */
export const MOST_GROUP_BYTES = 4 << 20;
const MOST_GROUPS = 64;
/** Runs of pages that a group may have: more than its pages are damage. */
const MOST_RUNS = MOST_GROUP_BYTES / 4096;

/**
 * Pages compressed together: half as large again as one by one, where a page has 4 KiB. `kdump-mem
 * extract` keeps tables so that nobody else reads.
 */
export interface PackedGroup {
  /** Physical memory in it, ascending, page by page. */
  readonly runs: readonly PhysicalRange[];
  /** It holds differences of 32-bit words, each from the one before. */
  readonly differences: boolean;
  /** Brotli, which would not notice a byte that has changed. */
  readonly packed: Uint8Array;
  /** CRC-32 of `packed`. */
  readonly sum: number;
}

/** Bytes that a group unpacks to. */
export function groupBytes({ runs }: Pick<PackedGroup, 'runs'>): number {
  return runs.reduce((sum, { start, end }) => sum + (end - start), 0);
}

/** Packs what lies in some runs of memory. `differences` helps tables of ascending 32-bit words. */
export function packGroup(
  runs: readonly PhysicalRange[],
  bytes: Uint8Array,
  differences: boolean,
): PackedGroup {
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
    // The next two levels take 10 and 25 times as long, and save 3 % and 9 %.
    [constants.BROTLI_PARAM_QUALITY]: 9,
    [constants.BROTLI_PARAM_LGWIN]: Math.log2(MOST_GROUP_BYTES),
    [constants.BROTLI_PARAM_SIZE_HINT]: data.length,
  };
  const packed = brotliCompressSync(data, { params });
  return { runs, differences, packed, sum: crc32(packed) };
}

/**
 * The note that holds them: a version, log2 of the page size, then LEB128 numbers: of groups, and for
 * each group how many runs it has, for each run the pages since the last one's end and its length in
 * pages, whether it holds differences, and its packed bytes and their sum; behind them all groups' bytes.
 *
 * @param groups ascending by their addresses
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

/** @throws {KernelError} `damaged` when there is such a note and it makes no sense */
export function packedPagesOf(notes: readonly Note[]): PackedGroup[] {
  const note = notes.find(({ name, type }) => name === NAME && type === TYPE);
  if (note === undefined) return [];
  const bytes = bytesOf(note.data);
  const [version, shift = MOST_PAGE_SHIFT + 1] = bytes;
  if (version !== undefined && version !== VERSION) {
    const message = `the extract was written by a newer kdump-mem (packed pages version ${version})`;
    throw new KernelError('unsupported-format', message);
  }
  if (shift > MOST_PAGE_SHIFT) throw damaged(`page size 2^${shift}`);
  const pageSize = 2 ** shift;
  const reader = new VarintReader(bytes.subarray(2), damaged);
  const number = (most: number, what: string): number => {
    const value = reader.next();
    if (value === undefined || value > most) throw damaged(`${value} ${what}`);
    return value;
  };
  const heads: { runs: PhysicalRange[]; differences: boolean; size: number; sum: number }[] = [];
  let page = 0;
  for (let left = number(MOST_GROUPS, 'groups'); left > 0; left--) {
    const runs: PhysicalRange[] = [];
    for (let more = number(MOST_RUNS, 'runs'); more > 0; more--) {
      const start = page + number(2 ** 40, 'pages between runs');
      page = start + number(MOST_GROUP_BYTES / pageSize, 'pages in a run');
      runs.push({ start: start * pageSize, end: page * pageSize });
    }
    if (groupBytes({ runs }) > MOST_GROUP_BYTES) throw damaged('group too large');
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
