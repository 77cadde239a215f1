import { KernelError } from '../../../base/errors.js';

/** DW_TAG_* of C types (DWARF 5, 7.5.3). */
export const Tag = {
  ARRAY: 0x01,
  ENUMERATION: 0x04,
  MEMBER: 0x0d,
  POINTER: 0x0f,
  STRUCTURE: 0x13,
  SUBROUTINE: 0x15,
  TYPEDEF: 0x16,
  UNION: 0x17,
  SUBRANGE: 0x21,
  BASE: 0x24,
  CONST: 0x26,
  ENUMERATOR: 0x28,
  PARAMETER: 0x05,
  VOLATILE: 0x35,
  RESTRICT: 0x37,
  UNSPECIFIED: 0x3b,
  ATOMIC: 0x47,
} as const;

/** DW_AT_* that are read; all others are skipped. */
const At = {
  SIBLING: 0x01,
  NAME: 0x03,
  BYTE_SIZE: 0x0b,
  BIT_OFFSET: 0x0c,
  BIT_SIZE: 0x0d,
  LANGUAGE: 0x13,
  CONST_VALUE: 0x1c,
  UPPER_BOUND: 0x2f,
  COUNT: 0x37,
  MEMBER_LOCATION: 0x38,
  DECLARATION: 0x3c,
  ENCODING: 0x3e,
  TYPE: 0x49,
  DATA_BIT_OFFSET: 0x6b,
  STR_OFFSETS_BASE: 0x72,
} as const;
const READ: ReadonlySet<number> = new Set(Object.values(At));

/** DW_FORM_* (7.5.6), and GNU's for split and supplementary files. */
const Form = {
  ADDR: 0x01,
  BLOCK2: 0x03,
  BLOCK4: 0x04,
  DATA2: 0x05,
  DATA4: 0x06,
  DATA8: 0x07,
  STRING: 0x08,
  BLOCK: 0x09,
  BLOCK1: 0x0a,
  DATA1: 0x0b,
  FLAG: 0x0c,
  SDATA: 0x0d,
  STRP: 0x0e,
  UDATA: 0x0f,
  REF_ADDR: 0x10,
  REF1: 0x11,
  REF2: 0x12,
  REF4: 0x13,
  REF8: 0x14,
  REF_UDATA: 0x15,
  INDIRECT: 0x16,
  SEC_OFFSET: 0x17,
  EXPRLOC: 0x18,
  FLAG_PRESENT: 0x19,
  STRX: 0x1a,
  ADDRX: 0x1b,
  REF_SUP4: 0x1c,
  STRP_SUP: 0x1d,
  DATA16: 0x1e,
  LINE_STRP: 0x1f,
  REF_SIG8: 0x20,
  IMPLICIT_CONST: 0x21,
  LOCLISTX: 0x22,
  RNGLISTX: 0x23,
  REF_SUP8: 0x24,
  STRX1: 0x25,
  STRX2: 0x26,
  STRX3: 0x27,
  STRX4: 0x28,
  ADDRX1: 0x29,
  ADDRX2: 0x2a,
  ADDRX3: 0x2b,
  ADDRX4: 0x2c,
  GNU_ADDR_INDEX: 0x1f01,
  GNU_STR_INDEX: 0x1f02,
  GNU_REF_ALT: 0x1f20,
  GNU_STRP_ALT: 0x1f21,
  /** Internal: skips unread attributes; the third number is their size in bytes. */
  SKIP: 0x10000,
} as const;

/** DW_OP_plus_uconst: the only expression that old compilers use for member offsets. */
const OP_PLUS_UCONST = 0x23;
/** A missing attribute, or one stored in another file. */
export const NONE = -1;
/** Compilers number abbreviations from 1; a kernel's units have about 300. */
const MAX_CODE = 65_536;
const MAX_ATTRIBUTES = 1024;

/** Fields of a unit header (7.5.1). */
export interface UnitHeader {
  /** Offsets in .debug_info: of the header, of the first entry, and one past the last. */
  readonly start: number;
  readonly first: number;
  readonly end: number;
  readonly version: number;
  readonly abbreviationsAt: number;
  readonly addressBytes: number;
  readonly offsetBytes: number;
}

interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  /** Three numbers per attribute: name, form, value of an implicit constant. */
  readonly attributes: readonly number[];
}
export type Abbreviations = readonly (Abbreviation | undefined)[];

/**
 * Reads the abbreviations of one unit (7.5.3). Unread attributes of fixed size are merged into one,
 * so that most entries are skipped in a single step.
 *
 * @returns the abbreviations, and their end offset
 */
export function readAbbreviations(
  bytes: Uint8Array,
  unit: UnitHeader,
): { readonly abbreviations: Abbreviations; readonly end: number } {
  const abbreviations: (Abbreviation | undefined)[] = [];
  const cursor = new Cursor(bytes, unit.abbreviationsAt);
  for (;;) {
    const code = cursor.unsigned();
    if (code === 0 || cursor.at > bytes.length) break;
    const tag = cursor.unsigned();
    const children = cursor.byte() !== 0;
    const attributes: number[] = [];
    for (let count = 0; ; count++) {
      const attribute = cursor.unsigned();
      const form = cursor.unsigned();
      const value = form === Form.IMPLICIT_CONST ? cursor.signed() : 0;
      if (attribute === 0 && form === 0) break;
      if (count === MAX_ATTRIBUTES || cursor.at > bytes.length) throw damaged('abbreviation does not terminate');
      const fixed = READ.has(attribute) ? undefined : sizeOf(form, unit);
      if (fixed === undefined) attributes.push(attribute, form, value);
      else if (attributes.at(-2) === Form.SKIP) attributes[attributes.length - 1]! += fixed;
      else attributes.push(0, Form.SKIP, fixed);
    }
    if (code > MAX_CODE) throw damaged(`abbreviation number ${code}`);
    abbreviations[code] = { tag, children, attributes };
  }
  return { abbreviations, end: cursor.at };
}

/** Size in bytes of a fixed-size form. */
function sizeOf(form: number, { addressBytes, offsetBytes, version }: UnitHeader) {
  switch (form) {
    case Form.FLAG_PRESENT:
    case Form.IMPLICIT_CONST:
      return 0;
    case Form.DATA1:
    case Form.FLAG:
    case Form.REF1:
    case Form.STRX1:
    case Form.ADDRX1:
      return 1;
    case Form.DATA2:
    case Form.REF2:
    case Form.STRX2:
    case Form.ADDRX2:
      return 2;
    case Form.STRX3:
    case Form.ADDRX3:
      return 3;
    case Form.DATA4:
    case Form.REF4:
    case Form.STRX4:
    case Form.ADDRX4:
    case Form.REF_SUP4:
      return 4;
    case Form.DATA8:
    case Form.REF8:
    case Form.REF_SIG8:
    case Form.REF_SUP8:
      return 8;
    case Form.DATA16:
      return 16;
    case Form.ADDR:
      return addressBytes;
    case Form.STRP:
    case Form.LINE_STRP:
    case Form.SEC_OFFSET:
    case Form.STRP_SUP:
    case Form.GNU_REF_ALT:
    case Form.GNU_STRP_ALT:
      return offsetBytes;
    case Form.REF_ADDR:
      return version < 3 ? addressBytes : offsetBytes;
    default:
      return undefined;
  }
}

/** Reader of consecutive little-endian numbers. Reads zeros past the end, where `at` exceeds it. */
class Cursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  pass(count: number): void {
    this.at += count;
  }

  fixed(count: number): number {
    const { bytes, at } = this;
    this.at = at + count;
    switch (count) {
      case 1:
        return bytes[at]! | 0;
      case 2:
        return bytes[at]! | (bytes[at + 1]! << 8);
      case 3:
        return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      case 4:
        return quad(bytes, at);
      default:
        return quad(bytes, at) + quad(bytes, at + 4) * 2 ** 32;
    }
  }

  /** ULEB128. */
  unsigned(): number {
    const { bytes } = this;
    let byte = bytes[this.at++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let factor = 128; byte >= 0x80 && factor < 2 ** 70; factor *= 128) {
      byte = bytes[this.at++]!;
      value += (byte & 0x7f) * factor;
    }
    return value;
  }

  /** SLEB128. */
  signed(): number {
    return Number(this.signedBig());
  }

  signedBig(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80 && shift < 64n) continue;
      return BigInt.asIntN(Math.min(64, Number(shift) + 7), value);
    }
  }
}

function quad(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
  return (low | (bytes[at + 3]! << 24)) >>> 0;
}

/** Maps strings of the file to names in the generated types. */
export interface Names {
  /** A string in .debug_str. */
  stored(offset: number): number;
  /** A string inline in the entry. */
  inline(bytes: Uint8Array, from: number, end: number): number;
  /** A string through .debug_str_offsets. */
  indexed(at: number, offsetBytes: number): number;
}

/**
 * The entries of one unit. `read` fills the fields from an entry; positions are offsets in
 * .debug_info, and {@link NONE} means that an attribute is missing.
 */
export class DwarfUnit {
  readonly header: UnitHeader;
  tag = 0;
  children = false;
  /** Offset of the first child, or else of the next entry. */
  next = 0;
  sibling = NONE;
  size = NONE;
  type = NONE;
  /** The type is in no unit of this file, or not referenced by an offset. */
  elsewhere = false;
  declaration = false;
  /** Bytes from the start of the struct. */
  location = 0;
  bitSize = 0;
  bitOffset: number | undefined;
  dataBitOffset = NONE;
  /** Elements of an array; NONE without an upper bound. */
  count = NONE;
  encoding = 0;
  value = 0n;
  language = 0;
  /** Per-entry results of the caller, by offset. */
  readonly values = new Map<number, number>();
  readonly pointees = new Map<number, number>();
  readonly #names: Names;
  readonly #abbreviations: Abbreviations;
  readonly #cursor: Cursor;
  #stringsBase: number;
  #nameForm = 0;
  #nameAt = 0;
  #nameEnd = 0;

  /** @param bytes from `header.start` on */
  constructor(header: UnitHeader, bytes: Uint8Array, abbreviations: Abbreviations, names: Names) {
    this.header = header;
    this.#names = names;
    this.#abbreviations = abbreviations;
    this.#cursor = new Cursor(bytes, 0);
    this.#stringsBase = header.offsetBytes * 2;
  }

  /** Reads the entry at an offset. Returns false for the end of a list of children. */
  read(place: number): boolean {
    const { header } = this;
    const cursor = this.#cursor;
    if (place < header.first || place >= header.end)
      throw damaged(`no entry at ${place} in the unit at ${header.start}`);
    cursor.at = place - header.start;
    const code = cursor.unsigned();
    if (code === 0) {
      this.next = cursor.at + header.start;
      return false;
    }
    const abbreviation = this.#abbreviations[code];
    if (abbreviation === undefined) throw damaged(`no abbreviation ${code} for entry ${place}`);
    this.tag = abbreviation.tag;
    this.children = abbreviation.children;
    this.#reset();
    const { attributes } = abbreviation;
    for (let index = 0; index < attributes.length; index += 3) {
      const form = attributes[index + 1]!;
      if (form === Form.SKIP) cursor.at += attributes[index + 2]!;
      else this.#attribute(attributes[index]!, form, attributes[index + 2]!);
    }
    this.next = cursor.at + header.start;
    if (this.next > header.end) throw damaged(`entry ${place} exceeds its unit`);
    return true;
  }

  /** Name of the entry that was read last; 0 if unnamed. */
  get name(): number {
    const names = this.#names;
    switch (this.#nameForm) {
      case 0:
        return 0;
      case Form.STRING:
        return names.inline(this.#cursor.bytes, this.#nameAt, this.#nameEnd);
      case Form.STRP:
        return names.stored(this.#nameAt);
      default: {
        const { offsetBytes } = this.header;
        return names.indexed(this.#stringsBase + this.#nameAt * offsetBytes, offsetBytes);
      }
    }
  }

  get named(): boolean {
    return this.#nameForm !== 0;
  }

  /** Returns the offset of the entry after the last one and its children. */
  after(): number {
    const { next, sibling, children, header } = this;
    if (!children) return next;
    if (sibling >= next && sibling <= header.end) return sibling;
    let at = next;
    for (let depth = 1; depth > 0; at = this.next) {
      if (at >= header.end) throw damaged(`unit at ${header.start} truncated`);
      if (!this.read(at)) depth--;
      else if (this.children) {
        if (this.sibling > this.next && this.sibling <= header.end) this.next = this.sibling;
        else depth++;
      }
    }
    return at;
  }

  #reset(): void {
    this.sibling = NONE;
    this.size = NONE;
    this.type = NONE;
    this.elsewhere = false;
    this.declaration = false;
    this.location = 0;
    this.bitSize = 0;
    this.bitOffset = undefined;
    this.dataBitOffset = NONE;
    this.count = NONE;
    this.encoding = 0;
    this.value = 0n;
    this.language = 0;
    this.#nameForm = 0;
  }

  #attribute(attribute: number, form: number, implicit: number): void {
    switch (attribute) {
      case At.NAME:
        this.#readName(form);
        return;
      case At.TYPE:
        this.type = this.#reference(form);
        this.elsewhere = this.type === NONE;
        return;
      case At.SIBLING:
        this.sibling = this.#reference(form);
        return;
      case At.CONST_VALUE:
        this.value = this.#big(form, implicit);
        return;
    }
    const at = this.#cursor.at;
    const value = this.#number(form, implicit);
    switch (attribute) {
      case At.BYTE_SIZE:
        this.size = value;
        break;
      case At.BIT_OFFSET:
        this.bitOffset = value;
        break;
      case At.BIT_SIZE:
        this.bitSize = value;
        break;
      case At.DATA_BIT_OFFSET:
        this.dataBitOffset = value;
        break;
      case At.UPPER_BOUND:
        // -1 means an array without elements, in any form.
        this.count = value + 1;
        break;
      case At.COUNT:
        this.count = value;
        break;
      case At.MEMBER_LOCATION:
        this.location = value === NONE ? this.#expression(at, form) : value;
        break;
      case At.DECLARATION:
        this.declaration = value !== 0;
        break;
      case At.ENCODING:
        this.encoding = value;
        break;
      case At.LANGUAGE:
        this.language = value;
        break;
      case At.STR_OFFSETS_BASE:
        this.#stringsBase = value;
        break;
    }
  }

  /** Skips a name and records its position. */
  #readName(form: number): void {
    const cursor = this.#cursor;
    this.#nameForm = form;
    switch (form) {
      case Form.STRING: {
        this.#nameAt = cursor.at;
        this.#skip(form);
        this.#nameEnd = cursor.at - 1;
        break;
      }
      case Form.STRP:
        this.#nameAt = cursor.fixed(this.header.offsetBytes);
        break;
      case Form.STRX:
      case Form.GNU_STR_INDEX:
        this.#nameAt = cursor.unsigned();
        break;
      case Form.STRX1:
      case Form.STRX2:
      case Form.STRX3:
      case Form.STRX4:
        this.#nameAt = cursor.fixed(form - Form.STRX1 + 1);
        break;
      default:
        // .debug_line_str contains file names; strings in other files are not available.
        this.#nameForm = 0;
        this.#skip(form);
    }
  }

  /** An offset in .debug_info, or NONE. */
  #reference(form: number): number {
    const cursor = this.#cursor;
    const { start, offsetBytes, addressBytes, version } = this.header;
    switch (form) {
      case Form.REF4:
        return start + cursor.fixed(4);
      case Form.REF1:
        return start + cursor.fixed(1);
      case Form.REF2:
        return start + cursor.fixed(2);
      case Form.REF8:
        return start + cursor.fixed(8);
      case Form.REF_UDATA:
        return start + cursor.unsigned();
      case Form.REF_ADDR:
        return cursor.fixed(version < 3 ? addressBytes : offsetBytes);
      default:
        this.#skip(form);
        return NONE;
    }
  }

  /** A constant; NONE for an expression or a list. */
  #number(form: number, implicit: number): number {
    const cursor = this.#cursor;
    switch (form) {
      case Form.DATA1:
      case Form.FLAG:
        return cursor.fixed(1);
      case Form.DATA2:
        return cursor.fixed(2);
      case Form.DATA4:
        return cursor.fixed(4);
      case Form.DATA8:
        return cursor.fixed(8);
      case Form.UDATA:
        return cursor.unsigned();
      case Form.SDATA:
        return cursor.signed();
      case Form.SEC_OFFSET:
        return cursor.fixed(this.header.offsetBytes);
      case Form.IMPLICIT_CONST:
        return implicit;
      case Form.FLAG_PRESENT:
        return 1;
      default:
        this.#skip(form);
        return NONE;
    }
  }

  #big(form: number, implicit: number): bigint {
    const cursor = this.#cursor;
    if (form === Form.SDATA) return cursor.signedBig();
    if (form !== Form.DATA8) return BigInt(this.#number(form, implicit));
    const low = BigInt(cursor.fixed(4));
    return (BigInt(cursor.fixed(4)) << 32n) | low;
  }

  /** Member offset from an expression that begins at `at`. */
  #expression(at: number, form: number): number {
    const cursor = new Cursor(this.#cursor.bytes, at);
    if (form === Form.BLOCK1) cursor.at++;
    else cursor.unsigned();
    return cursor.byte() === OP_PLUS_UCONST ? cursor.unsigned() : NONE;
  }

  #skip(form: number): void {
    const cursor = this.#cursor;
    const fixed = sizeOf(form, this.header);
    if (fixed !== undefined) {
      cursor.at += fixed;
      return;
    }
    switch (form) {
      case Form.STRING: {
        const end = cursor.bytes.indexOf(0, cursor.at);
        if (end < 0) throw damaged('name does not terminate');
        cursor.at = end + 1;
        return;
      }
      case Form.BLOCK1:
        cursor.pass(cursor.fixed(1));
        return;
      case Form.BLOCK2:
        cursor.pass(cursor.fixed(2));
        return;
      case Form.BLOCK4:
        cursor.pass(cursor.fixed(4));
        return;
      case Form.BLOCK:
      case Form.EXPRLOC:
        cursor.pass(cursor.unsigned());
        return;
      case Form.SDATA:
      case Form.UDATA:
      case Form.REF_UDATA:
      case Form.STRX:
      case Form.ADDRX:
      case Form.LOCLISTX:
      case Form.RNGLISTX:
      case Form.GNU_ADDR_INDEX:
      case Form.GNU_STR_INDEX:
        cursor.unsigned();
        return;
      case Form.INDIRECT: {
        const actual = cursor.unsigned();
        if (actual === Form.INDIRECT) throw damaged('indirect form refers to itself');
        this.#skip(actual);
        return;
      }
      default:
        throw new KernelError('unsupported-format', `unsupported DWARF form 0x${form.toString(16)}`);
    }
  }
}

export function damaged(why: string): KernelError {
  return new KernelError('damaged', `malformed DWARF (${why})`);
}
