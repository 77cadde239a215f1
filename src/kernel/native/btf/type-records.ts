import { endianness } from 'node:os';
import { KernelError } from '../../../base/errors.js';
import { CHUNK, type LazyBytes } from '../lazy-bytes.js';
import { FIXED_WORDS, Kind, TYPE_WORDS, WORDS_PER_ELEMENT } from './format.js';

const HOST_IS_BIG_ENDIAN = endianness() === 'BE';

/** Kinds of types that can be looked up by name. */
const NAMED: readonly boolean[] = Array.from(
  { length: 128 },
  (_, kind) =>
    kind === Kind.STRUCT ||
    kind === Kind.UNION ||
    kind === Kind.ENUM ||
    kind === Kind.TYPEDEF ||
    kind === Kind.ENUM64,
);

/** The words of a type section, copied if it is not aligned to 4 bytes. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const aligned =
    bytes.byteOffset % 4 === 0 && !HOST_IS_BIG_ENDIAN ? bytes : Uint8Array.from(bytes);
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
      throw new KernelError(
        'unsupported-layout',
        `BTF: type ${firstId + count} is of unknown kind ${kind}`,
      );
    if (NAMED[kind] && words[at] !== 0) named[namedCount++] = count;
    offsets[count++] = at;
    at += TYPE_WORDS + fixed + (info & 0xffffff) * WORDS_PER_ELEMENT[kind]!;
  }
  if (at !== end)
    throw new KernelError('damaged', `BTF: type ${firstId + count - 1} exceeds its section`);
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
    const found: number[] = [];
    if (name === '' || name.includes('\0')) return found;
    const head = headAt(bytes, 0);
    const heads = this.#heads;
    // Uses V8's built-in search: a loop here would run too rarely to be optimized.
    for (let entry = heads.indexOf(head); entry >= 0; entry = heads.indexOf(head, entry + 1)) {
      if (startsAt(this.#strings, this.#nameAt[entry]!, bytes, this.#lazy)) found.push(entry);
    }
    return found;
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
