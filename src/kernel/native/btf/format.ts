import { KernelError } from '../../../base/errors.js';
import { hex } from '../../../base/hex.js';

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
    if (at + length > available)
      return refuse(`${name} end at byte ${at + length} of ${available}`);
    if (length > MAX_SECTION_BYTES) return refuse(`${length} bytes of ${name}`);
  }
  if (typesAt < stringsAt + stringsLength && stringsAt < typesAt + typesLength)
    return refuse('types and strings overlap');
  return { typesAt, typesLength, stringsAt, stringsLength };
}
