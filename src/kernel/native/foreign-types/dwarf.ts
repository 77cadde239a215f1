import { KernelError } from '../../../base/errors.js';
import { viewOf } from '../../bytes.js';
import type { Btf } from '../btf/btf.js';
import { Kind } from '../btf/format.js';
import { type DebugSection, debugSection, type ElfFile, fullSection } from '../elf-file.js';
import { BtfBuilder, type BuiltMember } from './builder.js';
import {
  type Abbreviations,
  DwarfUnit,
  damaged,
  type Names,
  NONE,
  readAbbreviations,
  Tag,
  type UnitHeader,
} from './dwarf-unit.js';

/** A kernel has about 3,000 units, the largest 5 MB; with LTO fewer, larger ones. */
const MAX_UNITS = 1 << 18;
const MAX_UNIT_BYTES = 256 << 20;
/** Bytes of cached units that other units refer to. */
const MAX_CACHED_BYTES = 256 << 20;
/** Maximum number of passes over the file for units that refer to each other. */
const MAX_PASSES = 16;
const MAX_ABBREVIATIONS = 64;
/** Deeper nesting of types, or more array dimensions, indicates corruption. */
const MAX_DEPTH = 256;
const MAX_DIMENSIONS = 16;
/** Elements of an array; larger counts are -1, an array without elements. */
const MAX_ELEMENTS = 2 ** 31;
const DW_LANG_RUST = 0x1c;
const DW_UT_COMPILE = 1;
const DW_UT_PARTIAL = 3;
const DW_UT_SKELETON = 4;
const DW_ATE_BOOLEAN = 2;
const DW_ATE_FLOAT = 4;
const DW_ATE_SIGNED = 5;
const DW_ATE_SIGNED_CHAR = 6;
/** An unknown type: members of this type are omitted. */
const UNKNOWN = -2;
const IN_PROGRESS = -3;

/** Tags whose named entries can be looked up. */
const NAMED: ReadonlySet<number> = new Set([Tag.STRUCTURE, Tag.UNION, Tag.ENUMERATION, Tag.TYPEDEF]);
const QUALIFIERS: ReadonlyMap<number, number> = new Map([
  [Tag.CONST, Kind.CONST],
  [Tag.VOLATILE, Kind.VOLATILE],
  [Tag.RESTRICT, Kind.RESTRICT],
]);

/**
 * Converts the types in a vmlinux or its .debug file from DWARF 2 to 5 into BTF. Functions and Rust
 * units are skipped.
 *
 * @throws {KernelError} `no-types`, `damaged`, `unsupported-format`, `wrong-vmlinux`
 */
export function readDwarf(elf: ElfFile): Btf {
  const info = debugSection(elf, 'info');
  if (info === undefined) throw new KernelError('no-types', 'no .debug_info');
  return new DwarfTypes(elf, info).read();
}

class DwarfTypes {
  readonly #info: DebugSection;
  readonly #abbreviations: Uint8Array;
  readonly #names: StringNames;
  readonly #types: BtfBuilder;
  readonly #tables = new Map<number, Abbreviations>();
  readonly #cached = new Map<number, DwarfUnit>();
  #units: UnitHeader[] = [];
  #cachedBytes = 0;
  /** Remaining bytes of units and abbreviations that may be read before the input is rejected. */
  #bytesLeft: number;
  #abbreviationsLeft: number;
  #split = false;

  constructor(elf: ElfFile, info: DebugSection) {
    this.#info = info;
    this.#abbreviations = fullSection(elf, 'abbrev');
    const text = fullSection(elf, 'str');
    const strings = new Uint8Array(text.length + 1);
    strings.set(text, 1);
    this.#types = new BtfBuilder(strings);
    this.#names = new StringNames(strings, fullSection(elf, 'str_offsets'), this.#types);
    this.#bytesLeft = info.size * MAX_PASSES;
    this.#abbreviationsLeft = this.#abbreviations.length * MAX_PASSES;
  }

  read(): Btf {
    this.#units = this.#headers();
    for (const header of this.#units) {
      const unit = this.#cached.get(header.start) ?? this.#load(header);
      this.#readUnit(unit);
    }
    const types = this.#types.build();
    if (types.count === 0) throw new KernelError('no-types', this.#split ? 'types are in .dwo files' : 'no C types');
    return types;
  }

  #headers(): UnitHeader[] {
    const headers: UnitHeader[] = [];
    const { size } = this.#info;
    for (let start = 0; start < size; ) {
      const available = Math.min(size - start, 32);
      if (available < 12) throw damaged(`unit at ${start} truncated`);
      const bytes = new Uint8Array(32);
      bytes.set(this.#info.read(start, available));
      const view = viewOf(bytes);
      const wide = view.getUint32(0, true) === 0xffff_ffff;
      const offsetBytes = wide ? 8 : 4;
      const offset = (at: number) => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true));
      const versionAt = wide ? 12 : 4;
      const end = start + versionAt + offset(wide ? 4 : 0);
      const version = view.getUint16(versionAt, true);
      if (!(end <= size && end - start >= 11) || end - start > MAX_UNIT_BYTES)
        throw damaged(`unit at ${start} ends at ${end} of ${size}`);
      if (version < 2 || version > 5)
        throw new KernelError('unsupported-format', `unsupported DWARF version ${version}`);
      const modern = version === 5;
      const kind = modern ? view.getUint8(versionAt + 2) : DW_UT_COMPILE;
      const abbreviationsAt = offset(versionAt + (modern ? 4 : 2));
      const addressBytes = view.getUint8(versionAt + (modern ? 3 : 2 + offsetBytes));
      const first = start + versionAt + (modern ? 4 : 3) + offsetBytes;
      this.#split ||= kind === DW_UT_SKELETON;
      if (kind === DW_UT_COMPILE || kind === DW_UT_PARTIAL)
        headers.push({ start, first, end, version, abbreviationsAt, addressBytes, offsetBytes });
      if (headers.length > MAX_UNITS) throw damaged('too many units');
      start = end;
    }
    return headers;
  }

  #load(header: UnitHeader): DwarfUnit {
    const length = header.end - header.start;
    this.#bytesLeft -= length;
    if (this.#bytesLeft < 0) throw damaged('circular references between units');
    const bytes = this.#info.read(header.start, length);
    return new DwarfUnit(header, bytes, this.#abbreviationsOf(header), this.#names);
  }

  #abbreviationsOf(header: UnitHeader): Abbreviations {
    // The offset identifies the abbreviations only together with the sizes of the unit's forms.
    const { abbreviationsAt, addressBytes, offsetBytes, version } = header;
    const key = ((abbreviationsAt * 256 + addressBytes) * 16 + offsetBytes) * 8 + version;
    const known = this.#tables.get(key);
    if (known) return known;
    const { abbreviations, end } = readAbbreviations(this.#abbreviations, header);
    this.#abbreviationsLeft -= end - abbreviationsAt;
    if (this.#abbreviationsLeft < 0) throw damaged('abbreviations overlap');
    if (this.#tables.size >= MAX_ABBREVIATIONS) this.#tables.clear();
    this.#tables.set(key, abbreviations);
    return abbreviations;
  }

  #readUnit(unit: DwarfUnit): void {
    const { first, end } = unit.header;
    if (first >= end || !unit.read(first) || !unit.children) return;
    if (unit.language === DW_LANG_RUST) return;
    for (let at = unit.next; at < end && unit.read(at); ) {
      const wanted = NAMED.has(unit.tag) && unit.named && !unit.declaration;
      const after = unit.after();
      if (wanted) this.#typeAt(unit, at, false, 0);
      at = after;
    }
  }

  /** Returns the unit that contains a .debug_info offset. */
  #unitAt(place: number): DwarfUnit {
    let low = 0;
    let high = this.#units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#units[middle]!.end <= place) low = middle + 1;
      else high = middle;
    }
    const header = this.#units[low];
    if (header === undefined || place < header.start) throw damaged(`no unit at ${place}`);
    const cached = this.#cached.get(header.start);
    if (cached) return cached;
    const bytes = header.end - header.start;
    if (this.#cachedBytes + bytes > MAX_CACHED_BYTES) {
      this.#cached.clear();
      this.#cachedBytes = 0;
    }
    const unit = this.#load(header);
    this.#cached.set(header.start, unit);
    this.#cachedBytes += bytes;
    return unit;
  }

  /**
   * Returns the BTF id of an entry's type: 0 for void, UNKNOWN if not described.
   *
   * @param pointee the type is only a pointer target: a struct becomes a forward declaration
   */
  #typeAt(from: DwarfUnit, place: number, pointee: boolean, depth: number): number {
    const { start, end } = from.header;
    const unit = place >= start && place < end ? from : this.#unitAt(place);
    const known = pointee ? unit.pointees : unit.values;
    const type = known.get(place);
    if (type !== undefined) {
      if (type === IN_PROGRESS) throw damaged(`type ${place} contains itself`);
      return type;
    }
    if (depth > MAX_DEPTH) throw damaged(`type ${place} nested too deeply`);
    known.set(place, IN_PROGRESS);
    const built = this.#make(unit, place, pointee, depth + 1);
    known.set(place, built);
    return built;
  }

  #make(unit: DwarfUnit, place: number, pointee: boolean, depth: number): number {
    if (!unit.read(place)) return UNKNOWN;
    const { tag, type: target, elsewhere } = unit;
    const types = this.#types;
    const referred = (asPointee: boolean): number =>
      elsewhere ? UNKNOWN : target === NONE ? 0 : this.#typeAt(unit, target, asPointee, depth);
    const qualifier = QUALIFIERS.get(tag);
    if (qualifier !== undefined) {
      const type = referred(pointee);
      return type === UNKNOWN ? UNKNOWN : types.plain(qualifier, 0, type);
    }
    switch (tag) {
      case Tag.BASE:
        return this.#base(unit);
      case Tag.POINTER:
        return types.plain(Kind.PTR, 0, Math.max(0, referred(true)));
      case Tag.TYPEDEF: {
        const { name } = unit;
        const type = referred(pointee);
        return type === UNKNOWN ? UNKNOWN : types.plain(Kind.TYPEDEF, name, type);
      }
      case Tag.STRUCTURE:
      case Tag.UNION: {
        const kind = tag === Tag.UNION ? Kind.UNION : Kind.STRUCT;
        const { name, declaration } = unit;
        if (declaration && name === 0) return UNKNOWN;
        if (declaration || (pointee && name !== 0)) return types.declared(kind, name);
        return this.#aggregate(unit, kind, depth);
      }
      case Tag.ENUMERATION:
        return this.#enumeration(unit);
      case Tag.ARRAY:
        return this.#array(unit, () => referred(pointee));
      case Tag.SUBROUTINE:
        return this.#prototype(unit, () => referred(true), depth);
      case Tag.ATOMIC:
        return referred(pointee);
      case Tag.UNSPECIFIED:
        return 0;
      default:
        return UNKNOWN;
    }
  }

  #base({ name, size, encoding }: DwarfUnit): number {
    if (size < 1 || size > 32) return UNKNOWN;
    if (encoding === DW_ATE_FLOAT) return this.#types.plain(Kind.FLOAT, name, size);
    const signed = encoding === DW_ATE_SIGNED || encoding === DW_ATE_SIGNED_CHAR;
    return this.#types.int(name, size, encoding === DW_ATE_BOOLEAN ? 4 : signed ? 1 : 0);
  }

  #aggregate(unit: DwarfUnit, kind: number, depth: number): number {
    const { name, size, children } = unit;
    if (size === NONE) return this.#types.declared(kind, name);
    const members: BuiltMember[] = [];
    let complete = true;
    if (children)
      for (let at = unit.next; unit.read(at); ) {
        if (unit.tag !== Tag.MEMBER) {
          at = unit.after();
          continue;
        }
        const { name: of, location, bitSize, bitOffset, dataBitOffset, type: place } = unit;
        const { size: storage } = unit;
        const known = place !== NONE && (location !== NONE || dataBitOffset !== NONE);
        at = unit.after();
        const type = known ? this.#typeAt(unit, place, false, depth) : UNKNOWN;
        complete &&= type > 0 && (bitOffset === undefined || storage !== NONE);
        let bits = dataBitOffset === NONE ? location * 8 : dataBitOffset;
        // Counted from the most significant bit of the storage unit: DWARF 2 and 3.
        if (bitOffset !== undefined) bits += storage * 8 - bitOffset - bitSize;
        members.push({ name: of, type, bitOffset: bits, bitSize: Math.max(0, bitSize) });
      }
    if (!complete) return name === 0 ? UNKNOWN : this.#types.declared(kind, name);
    return this.#types.aggregate(kind, name, size, members);
  }

  #enumeration(unit: DwarfUnit): number {
    const { name, size, children } = unit;
    if (size < 1 || size > 8) return UNKNOWN;
    const values: { name: number; value: bigint }[] = [];
    if (children)
      for (let at = unit.next; unit.read(at); at = unit.after())
        if (unit.tag === Tag.ENUMERATOR) values.push({ name: unit.name, value: unit.value });
    return this.#types.enumeration(name, size, values);
  }

  /** One array per dimension, the innermost first; without an upper bound it has 0 elements. */
  #array(unit: DwarfUnit, element: () => number): number {
    const counts: number[] = [];
    if (unit.children)
      for (let at = unit.next; unit.read(at); at = unit.after()) {
        if (unit.tag !== Tag.SUBRANGE) continue;
        const { count } = unit;
        counts.push(count > 0 && count < MAX_ELEMENTS ? count : 0);
        if (counts.length > MAX_DIMENSIONS) return UNKNOWN;
      }
    if (counts.length === 0) counts.push(0);
    const type = element();
    if (type <= 0) return UNKNOWN;
    return counts.reduceRight((of, count) => this.#types.array(of, count), type);
  }

  #prototype(unit: DwarfUnit, returns: () => number, depth: number): number {
    const places: number[] = [];
    if (unit.children)
      for (let at = unit.next; unit.read(at); at = unit.after()) if (unit.tag === Tag.PARAMETER) places.push(unit.type);
    const types = [returns(), ...places.map((place) => this.#pointee(unit, place, depth))];
    const [result = 0, ...parameters] = types.map((type) => Math.max(0, type));
    return this.#types.prototype(result, parameters);
  }

  #pointee(unit: DwarfUnit, place: number, depth: number): number {
    return place === NONE ? UNKNOWN : this.#typeAt(unit, place, true, depth);
  }
}

/** Names are offsets into .debug_str, where the linker stores each string once; other strings are added. */
class StringNames implements Names {
  readonly #strings: Uint8Array;
  readonly #offsets: DataView;
  readonly #types: BtfBuilder;
  /** Names of up to three bytes, by their content: compilers store those inline in the entries. */
  readonly #short = new Map<number, number>();

  constructor(strings: Uint8Array, offsets: Uint8Array, types: BtfBuilder) {
    this.#strings = strings;
    this.#offsets = viewOf(offsets);
    this.#types = types;
  }

  stored(offset: number): number {
    const name = offset + 1;
    if (name >= this.#strings.length) throw damaged(`no string at offset ${offset}`);
    return this.#strings[name] === 0 ? 0 : name;
  }

  inline(bytes: Uint8Array, from: number, end: number): number {
    if (end - from > 3) return this.#types.name(Buffer.from(bytes.subarray(from, end)).toString('latin1'));
    let key = 0;
    for (let at = from; at < end; at++) key = (key << 8) | bytes[at]!;
    let name = this.#short.get(key);
    if (name === undefined) {
      name = this.#types.name(Buffer.from(bytes.subarray(from, end)).toString('latin1'));
      this.#short.set(key, name);
    }
    return name;
  }

  indexed(at: number, offsetBytes: number): number {
    const offsets = this.#offsets;
    if (at < 0 || at + offsetBytes > offsets.byteLength) throw damaged(`no string offset at ${at}`);
    return this.stored(offsetBytes === 8 ? Number(offsets.getBigUint64(at, true)) : offsets.getUint32(at, true));
  }
}
