import { KernelError, ReadError, readOrNot } from '../../../base/errors.js';
import { bytesOf, viewOf } from '../../bytes.js';
import type { Architecture } from '../arch/arch.js';
import { readWithHoles, scanImage } from '../image-scan.js';
import { behind, type KallsymsPlaces } from './kallsyms.js';
import { NAMES_PER_MARKER, nextName, SEQUENCE_BYTES } from './names.js';
import { TOKEN_INDEX_BYTES, TOKENS, Tokens } from './tables.js';

type Memory = { read(address: bigint, length: number): DataView };

/** In every token table the digits stand for themselves, consecutively. */
const DIGITS = Buffer.from('0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00', 'latin1');
const DIGIT_ZERO = 0x30;
/** Bytes from the token `0` to the end of the table: 208 tokens. */
const MAX_TABLE_REST = 16_384;
/** Maximum distance of the markers before the token table: the name order may be in between. */
const MAX_BEFORE = 8 << 20;
const NEAR = 64 << 10;
/** Bytes of 256 compressed names: from 2 each to 200. */
const MIN_BLOCK = 512;
const MAX_BLOCK = 51_200;

/**
 * Searches the kernel image for the kallsyms tables, for kernels whose VMCOREINFO does not name them
 * (before 6.0). scripts/kallsyms.c writes them in one of two orders:
 *
 * - up to 6.3: addresses, relative base, number, names, markers, (order), token table, token index
 * - since 6.4: number, names, markers, token table, token index, addresses, (relative base), order
 *
 * Each result is internally consistent; Kallsyms.open checks whether the symbols are right.
 */
export function* scanForKallsyms(memory: Memory, arch: Architecture): Generator<KallsymsPlaces> {
  for (const zero of scanImage(memory, arch, DIGITS)) {
    try {
      yield* placesAround(memory, zero);
    } catch (error) {
      if (!(error instanceof KernelError) && !(error instanceof ReadError)) throw error;
    }
  }
}

function* placesAround(memory: Memory, zero: bigint): Generator<KallsymsPlaces> {
  const rest = readWithHoles(memory, zero, MAX_TABLE_REST);
  let end = 0;
  for (let token = DIGIT_ZERO; token < TOKENS; token++) end = rest.indexOf(0, end) + 1;
  for (const tokenIndex of behind(zero + BigInt(end))) {
    const index = memory.read(tokenIndex, TOKEN_INDEX_BYTES);
    const tokenTable = zero - BigInt(index.getUint16(DIGIT_ZERO * 2, true));
    try {
      Tokens.read(memory, tokenTable, tokenIndex);
    } catch (error) {
      if (error instanceof KernelError) continue;
      throw error;
    }
    for (const names of namesBefore(memory, tokenTable)) {
      yield {
        ...names,
        tokenTable,
        tokenIndex,
        addresses: addressesAround(memory, names, tokenIndex),
        orders: orders(names.count, tokenIndex),
      };
    }
  }
}

interface FoundNames {
  readonly count: number;
  readonly countAt: bigint;
  readonly names: bigint;
}

/** Finds markers by their shape, backwards from the token table; then the names that they refer to. */
function* namesBefore(memory: Memory, tokenTable: bigint): Generator<FoundNames> {
  // Directly before it, or with the name order in between.
  for (const reach of [NEAR, MAX_BEFORE]) yield* namesWithin(memory, tokenTable, reach, 4);
  yield* namesWithin(memory, tokenTable, NEAR, 8);
}

/** @param width bytes of a marker: 8 before 4.20 */
function* namesWithin(memory: Memory, tokenTable: bigint, reach: number, width: 4 | 8): Generator<FoundNames> {
  const { start, words } = wordsBefore(memory, tokenTable, reach, width);
  for (let first = words.length - 2; first >= 0; first--) {
    if (words[first] !== 0) continue;
    let length = 1;
    while (first + length < words.length && isBlock(words[first + length - 1]!, words[first + length]!)) length++;
    if (length < 2) continue;
    // The value after the last marker may look like another one.
    for (let count = length; count > 1 && count >= length - 2; count--) {
      if (!isGapValid((words.length - first - count) * width, count)) continue;
      const markers = words.subarray(first, first + count);
      yield* namesOf(memory, start + BigInt(first * width), markers);
    }
  }
}

/**
 * Whether the gap in bytes between the markers and the token table is mere alignment, or the order of
 * as many names as they refer to.
 */
function isGapValid(gap: number, markers: number): boolean {
  const names = markers * NAMES_PER_MARKER;
  const least = (names - NAMES_PER_MARKER) * SEQUENCE_BYTES;
  return gap < 8 || (gap > least && gap < names * SEQUENCE_BYTES + 16);
}

function isBlock(from: number, to: number): boolean {
  return to >= from + MIN_BLOCK && to <= from + MAX_BLOCK;
}

function* namesOf(memory: Memory, markersAt: bigint, markers: Uint32Array): Generator<FoundNames> {
  const last = markers[markers.length - 1]!;
  // The last block's names, 1 to 256 of them, are between the last marker and the markers.
  const before = markersAt - BigInt(last + MAX_BLOCK + 16);
  const from = before - (before % 4n);
  const view = viewOf(readWithHoles(memory, from, MAX_BLOCK + 16 + 4));
  const least = (markers.length - 1) * NAMES_PER_MARKER;
  for (let at = MAX_BLOCK + 16; at >= 0; at -= 4) {
    const count = view.getUint32(at, true);
    if (count <= least || count > least + NAMES_PER_MARKER) continue;
    const countAt = from + BigInt(at);
    // The number takes 4 bytes, or 8 including the alignment of the names.
    for (const names of [countAt + 8n, countAt + 4n]) {
      if (blocksFit(memory, names, markersAt, markers, count - least)) yield { count, countAt, names };
    }
  }
}

/** Whether the first block ends at the second marker, and the last before the markers begin. */
function blocksFit(memory: Memory, names: bigint, markersAt: bigint, markers: Uint32Array, rest: number): boolean {
  const last = names + BigInt(markers[markers.length - 1]!);
  const length = Number(markersAt - last);
  if (length <= 0 || length > MAX_BLOCK) return false;
  const end = run(bytesOf(memory.read(last, length)), rest);
  if (end < 0 || length - end >= 8) return false;
  const first = bytesOf(memory.read(names, markers[1]! + 2));
  return run(first, NAMES_PER_MARKER) === markers[1];
}

/** Number of bytes that this many names take, or -1 if they exceed the buffer. */
function run(bytes: Uint8Array, names: number): number {
  let at = 0;
  for (let index = 0; index < names; index++) {
    if (at + 1 >= bytes.length) return -1;
    at = nextName(bytes, at);
  }
  return at <= bytes.length ? at : -1;
}

function addressesAround(
  memory: Memory,
  { count, countAt }: FoundNames,
  tokenIndex: bigint,
): KallsymsPlaces['addresses'] {
  const places: KallsymsPlaces['addresses'][number][] = [];
  const relative = (address: bigint, baseAt: bigint): void => {
    const base = wordOrNot(memory, baseAt);
    if (base === undefined) return;
    places.push({ address, encoding: 'relative-percpu', base });
    places.push({ address, encoding: 'relative', base });
  };
  // The number of symbols is preceded by the base, and that by the offsets.
  const baseAt = countAt - (countAt % 8n) - 8n;
  for (const alignment of [8, 4]) relative(baseAt - BigInt(Math.ceil((count * 4) / alignment) * alignment), baseAt);
  places.push({ address: countAt - BigInt(count * 8), encoding: 'absolute', base: 0n });
  // After the token index.
  for (const address of behind(tokenIndex + BigInt(TOKEN_INDEX_BYTES))) {
    for (const after of behind(address + BigInt(count * 4))) relative(address, after);
    places.push({ address, encoding: 'place', base: address });
    places.push({ address, encoding: 'absolute', base: 0n });
  }
  return places;
}

function orders(count: number, tokenIndex: bigint): bigint[] {
  const places: bigint[] = [];
  for (const offsets of behind(tokenIndex + BigInt(TOKEN_INDEX_BYTES))) {
    for (const after of behind(offsets + BigInt(count * 4))) places.push(after, after + 8n);
    places.push(offsets + BigInt(count * 8));
  }
  return places;
}

function wordOrNot(memory: Memory, address: bigint): bigint | undefined {
  return readOrNot(() => memory.read(address, 8).getBigUint64(0, true));
}

/** Numbers in the `reach` bytes before an address. One that exceeds 32 bits is not a marker. */
function wordsBefore(
  memory: Memory,
  address: bigint,
  reach: number,
  width: 4 | 8,
): { start: bigint; words: Uint32Array } {
  const start = address - (address % BigInt(width)) - BigInt(reach);
  const view = viewOf(readWithHoles(memory, start, reach));
  const words = new Uint32Array(reach / width);
  for (let index = 0; index < words.length; index++) {
    const at = index * width;
    const fits = width === 4 || view.getUint32(at + 4, true) === 0;
    words[index] = fits ? view.getUint32(at, true) : 0xffff_ffff;
  }
  return { start, words };
}
