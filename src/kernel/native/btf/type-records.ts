import { endianness } from 'node:os';
import { KernelError } from '../../../base/errors/kernel.js';
import { FIXED_WORDS, Kind, TYPE_WORDS, WORDS_PER_ELEMENT } from './format.js';

const HOST_IS_BIG_ENDIAN = endianness() === 'BE';

/** Kinds that have a name of their own that somebody may ask for. */
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
 * The offset of every type, in words, and which of them have names to be found by. One pass over
 * hostile records; the section's length bounds their number.
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
