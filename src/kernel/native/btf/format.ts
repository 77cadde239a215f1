import { endianness } from 'node:os';
import { KernelError } from '../../../base/errors.js';
import { hex } from '../../../base/util.js';
import { CHUNK, type LazyBytes } from '../memory.js';

/** Kinds of BTF types (include/uapi/linux/btf.h). */
export const Kind = {
  VOID: 0,
  INT: 1,
  PTR: 2,
  ARRAY: 3,
  STRUCT: 4,
  UNION: 5,
  ENUM: 6,
  FWD: 7,
  TYPEDEF: 8,
  VOLATILE: 9,
  CONST: 10,
  RESTRICT: 11,
  FUNC: 12,
  FUNC_PROTO: 13,
  VAR: 14,
  DATASEC: 15,
  FLOAT: 16,
  DECL_TAG: 17,
  TYPE_TAG: 18,
  ENUM64: 19,
} as const;

/** 32-bit words that follow `struct btf_type`, by kind: fixed ones, and ones per `vlen`. */
export const FIXED_WORDS = [0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
export const WORDS_PER_ELEMENT = [0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3];

/** Words of `struct btf_type`: name_off, info, and size or type. */
export const TYPE_WORDS = 3;

/** Bytes of the oldest header, to which newer ones only append. */
export const HEADER_SIZE = 24;

/** Far more than any kernel's types; larger sections indicate corruption. */
const MAX_SECTION_BYTES = 128 << 20;

/** Positions of the sections, in bytes from the start of the blob. */
export interface BtfHeader {
  readonly typesAt: number;
  readonly typesLength: number;
  readonly stringsAt: number;
  readonly stringsLength: number;
}

/**
 * Reads `struct btf_header` at the start of `view`; `available` is the maximum size of the blob in bytes.
 *
 * @throws {KernelError} `damaged` if it is not the header of a little-endian BTF blob of that size.
 */
export function parseBtfHeader(view: DataView, available: number): BtfHeader {
  const refuse = (why: string): never => {
    throw new KernelError('damaged', `malformed BTF header (${why})`);
  };
  if (view.byteLength < HEADER_SIZE) return refuse(`truncated after ${view.byteLength} bytes`);
  const magic = view.getUint16(0, true);
  if (magic !== 0xeb9f) return refuse(`magic ${hex(magic)}, not 0xeb9f`);
  const version = view.getUint8(2);
  if (version !== 1) return refuse(`version ${version}, not 1`);
  const headerLength = view.getUint32(4, true);
  if (headerLength < HEADER_SIZE || headerLength > 4096) return refuse(`length ${headerLength}`);
  const typesAt = headerLength + view.getUint32(8, true);
  const typesLength = view.getUint32(12, true);
  const stringsAt = headerLength + view.getUint32(16, true);
  const stringsLength = view.getUint32(20, true);
  if (typesAt % 4 !== 0 || typesLength % 4 !== 0) return refuse('types not aligned to 4 bytes');
  for (const [name, at, length] of [
    ['types', typesAt, typesLength],
    ['strings', stringsAt, stringsLength],
  ] as const) {
    if (at + length > available) return refuse(`${name} end at byte ${at + length} of ${available}`);
    if (length > MAX_SECTION_BYTES) return refuse(`${length} bytes of ${name}`);
  }
  if (typesAt < stringsAt + stringsLength && stringsAt < typesAt + typesLength)
    return refuse('types and strings overlap');
  return { typesAt, typesLength, stringsAt, stringsLength };
}

const HOST_IS_BIG_ENDIAN = endianness() === 'BE';

/** Kinds of types that can be looked up by name. */
const NAMED: readonly boolean[] = Array.from(
  { length: 128 },
  (_, kind) =>
    kind === Kind.STRUCT || kind === Kind.UNION || kind === Kind.ENUM || kind === Kind.TYPEDEF || kind === Kind.ENUM64,
);

/** The words of a type section, copied if it is not aligned to 4 bytes. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 && !HOST_IS_BIG_ENDIAN ? bytes : Uint8Array.from(bytes);
  if (HOST_IS_BIG_ENDIAN) Buffer.from(aligned.buffer).swap32();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
}

/**
 * Finds the offset of every type, in words, and the types with a name to look up. One pass over
 * hostile records, bounded by the section's length.
 */
export function indexTypes(
  words: Uint32Array,
  firstId: number,
): { readonly offsets: Uint32Array; readonly named: Uint32Array } {
  const end = words.length;
  const offsets = new Uint32Array(Math.floor(end / TYPE_WORDS));
  const named = new Uint32Array(offsets.length);
  let count = 0;
  let namedCount = 0;
  let at = 0;
  while (at + TYPE_WORDS <= end) {
    const info = words[at + 1]!;
    const kind = (info >>> 24) & 0x7f;
    const fixed = FIXED_WORDS[kind];
    if (fixed === undefined || kind === 0)
      throw new KernelError('unsupported-layout', `BTF: type ${firstId + count} is of unknown kind ${kind}`);
    if (NAMED[kind] && words[at] !== 0) named[namedCount++] = count;
    offsets[count++] = at;
    at += TYPE_WORDS + fixed + (info & 0xffffff) * WORDS_PER_ELEMENT[kind]!;
  }
  if (at !== end) throw new KernelError('damaged', `BTF: type ${firstId + count - 1} exceeds its section`);
  return { offsets: offsets.subarray(0, count), named: named.subarray(0, namedCount) };
}

/** Bytes of a name that are compared at once. */
const HEAD = 4;

/**
 * Index of names in a string section by their first four bytes, without decoding them: reading
 * those of 40,000 names takes a millisecond, searching them 10 µs, and few names are looked up.
 * Building a hash of full names took thirty times as long.
 */
export class NameHeads {
  readonly #strings: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #lazy: LazyBytes | undefined;
  readonly #heads: Uint32Array;

  /**
   * @param strings NUL-terminated names
   * @param nameAt offset in `strings` of each entry's name
   * @param lazy source of the strings if they are read on demand
   */
  constructor(strings: Uint8Array, nameAt: Int32Array, lazy?: LazyBytes) {
    this.#strings = strings;
    this.#nameAt = nameAt;
    this.#lazy = lazy;
    lazy?.needEach(nameAt);
    this.#heads = new Uint32Array(nameAt.length);
    for (let entry = 0; entry < nameAt.length; entry++) {
      this.#heads[entry] = headAt(strings, nameAt[entry]!, lazy);
    }
  }

  /** Indices of all entries with that name, in order. */
  find(name: string): number[] {
    const bytes = Buffer.from(`${name}\0`, 'latin1');
    const indexes: number[] = [];
    if (name === '' || name.includes('\0')) return indexes;
    const head = headAt(bytes, 0);
    const heads = this.#heads;
    // Uses V8's built-in search: a loop here would run too rarely to be optimized.
    for (let entry = heads.indexOf(head); entry >= 0; entry = heads.indexOf(head, entry + 1)) {
      if (startsAt(this.#strings, this.#nameAt[entry]!, bytes, this.#lazy)) indexes.push(entry);
    }
    return indexes;
  }
}

/**
 * Whether `bytes` are at an offset of the strings. Fetches only as many bytes as match: the dump
 * may lack those behind the name.
 */
function startsAt(strings: Uint8Array, at: number, bytes: Uint8Array, lazy?: LazyBytes): boolean {
  for (let index = 0; index < bytes.length; index++) {
    const place = at + index;
    if (index === 0 || place % CHUNK === 0) lazy?.need(place, place + 1);
    if (strings[place] !== bytes[index]) return false;
  }
  return true;
}

/** The first bytes of a name as one number, zero-padded. */
function headAt(strings: Uint8Array, at: number, lazy?: LazyBytes): number {
  let head = 0;
  for (let index = 0; index < HEAD; index++) {
    const place = at + index;
    if (index > 0 && place % CHUNK === 0) lazy?.need(place, place + 1);
    // Undefined past the section's end: treated as zero.
    const byte = strings[place];
    if (!byte) break;
    head |= byte << (8 * index);
  }
  return head >>> 0;
}
