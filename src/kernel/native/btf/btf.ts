import { KernelError } from '../../../base/errors.js';
import { viewOf } from '../../bytes.js';
import { CHUNK, type LazyBytes } from '../memory.js';
import { indexTypes, Kind, NameHeads, parseBtfHeader, TYPE_WORDS, wordsOf } from './format.js';

/** A longer chain of modifiers, typedefs or array dimensions indicates corruption or a cycle. */
const MAX_STEPS = 64;
const MAX_NAME_BYTES = 4096;

/**
 * The types of a kernel or of one module (split BTF, whose ids and strings continue those of its base). Only
 * an offset per type is computed in advance; everything else is read from the blob on demand.
 *
 * Every method throws {KernelError} `damaged` on invalid ids, strings or records.
 */
export class Btf {
  /** Id of the first type of this blob: 1, or the number of the base's types for split BTF. */
  readonly firstId: number;
  /** One past the last id. */
  readonly endId: number;
  readonly #base: Btf | undefined;
  readonly #words: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #strings: Uint8Array;
  readonly #lazy: LazyBytes | undefined;
  /** Index of each type that can be looked up by name. */
  readonly #named: Uint32Array;
  readonly #stringsStart: number;
  #names: TypeNames | undefined;
  #marksSigned: boolean | undefined;

  /**
   * @param types the type section, copied if it is not aligned to 4 bytes
   * @param strings the string section, possibly read on demand
   * @param base the kernel's types, for a module's
   */
  constructor(types: Uint8Array, strings: Uint8Array | LazyBytes, base?: Btf) {
    this.#words = wordsOf(types);
    this.#lazy = strings instanceof Uint8Array ? undefined : strings;
    this.#strings = strings instanceof Uint8Array ? strings : strings.bytes;
    this.#base = base;
    this.firstId = base ? base.endId : 1;
    this.#stringsStart = base ? base.#stringsStart + base.#strings.length : 0;
    const { offsets, named } = indexTypes(this.#words, this.firstId);
    this.#offsets = offsets;
    this.#named = named;
    this.endId = this.firstId + this.#offsets.length;
  }

  /** Parses a contiguous blob, such as /sys/kernel/btf/vmlinux or the `.BTF` section of a vmlinux. */
  static parse(blob: Uint8Array, base?: Btf): Btf {
    const view = viewOf(blob);
    const header = parseBtfHeader(view, blob.byteLength);
    return new Btf(
      blob.subarray(header.typesAt, header.typesAt + header.typesLength),
      blob.subarray(header.stringsAt, header.stringsAt + header.stringsLength),
      base,
    );
  }

  /** End of the string offsets: the start of a module's strings. */
  get stringsEnd(): number {
    return this.#stringsStart + this.#strings.length;
  }

  /** Number of types in this blob, without its base's. */
  get count(): number {
    return this.#offsets.length;
  }

  /** Kind of a type; 0 (void) for id 0. */
  kind(id: number): number {
    return id === 0 ? Kind.VOID : (this.#home(id).#word(id, 1) >>> 24) & 0x7f;
  }

  /** Number of members, enumerators or parameters. */
  vlen(id: number): number {
    return this.#home(id).#word(id, 1) & 0xffffff;
  }

  /** `kind_flag`: members contain bitfield sizes; a forward is of a union; an enum is signed. */
  flag(id: number): boolean {
    return this.#home(id).#word(id, 1) >>> 31 === 1;
  }

  /**
   * Whether an enum's values are signed. kind_flag states it since 6.0; in older kernels, where no
   * enum has the flag, enums count as signed, as in the tools of that time.
   */
  signedEnum(id: number): boolean {
    if (this.flag(id)) return true;
    if (this.kind(id) === Kind.ENUM64) return false;
    let base: Btf = this;
    while (base.#base) base = base.#base;
    base.#marksSigned ??= base.#anySignedEnum();
    return !base.#marksSigned;
  }

  /** `size` of a kind that has one, or the id of the type that it refers to. */
  sizeOrType(id: number): number {
    return this.#home(id).#word(id, 2);
  }

  /** Word number `word` of what follows the fixed record. */
  extra(id: number, word: number): number {
    return this.#home(id).#word(id, TYPE_WORDS + word);
  }

  /** The type's own name, '' if it has none. */
  name(id: number): string {
    return id === 0 ? 'void' : this.string(this.#home(id).#word(id, 0));
  }

  /** Whether the type is unnamed, without decoding a name. */
  anonymous(id: number): boolean {
    return this.#home(id).#word(id, 0) === 0;
  }

  /** The string at an offset, as Latin-1: C names are ASCII, and hostile ones must not throw. */
  string(offset: number): string {
    if (this.#base && offset < this.#stringsStart) return this.#base.string(offset);
    const from = offset - this.#stringsStart;
    if (from >= this.#strings.length) throw new KernelError('damaged', `BTF: no string at offset ${offset}`);
    let end = from;
    for (; end < this.#strings.length; end++) {
      if (end === from || end % CHUNK === 0) this.#lazy?.need(end, end + 1);
      if (this.#strings[end] === 0) break;
    }
    if (end === this.#strings.length || end - from > MAX_NAME_BYTES)
      throw new KernelError('damaged', `BTF: no string at offset ${offset}`);
    return from === end ? '' : latin1(this.#strings, from, end);
  }

  /**
   * Ids of the structs, unions, enums and typedefs of that name in this blob (not in its base), in
   * order. Decodes no names.
   */
  find(name: string): number[] {
    this.#names ??= this.#indexNames();
    const { types, heads, baseNamed } = this.#names;
    const ids = heads.find(name).map((entry) => types[entry]!);
    // A module may define a type whose name is already in the kernel's strings.
    for (const id of baseNamed) {
      if (this.name(id) === name) ids.push(id);
    }
    return ids.sort((a, b) => a - b);
  }

  /** The names that {@link find} finds, as far as they can be read; with duplicates. */
  *names(): Generator<string> {
    for (const index of this.#named) yield this.name(this.firstId + index);
  }

  /** Strips typedefs, qualifiers and type tags. */
  resolve(id: number): number {
    let at = id;
    for (let step = 0; step < MAX_STEPS; step++) {
      switch (this.kind(at)) {
        case Kind.TYPEDEF:
        case Kind.VOLATILE:
        case Kind.CONST:
        case Kind.RESTRICT:
        case Kind.TYPE_TAG:
          at = this.sizeOrType(at);
          break;
        default:
          return at;
      }
    }
    throw new KernelError('damaged', `BTF: chain of type ${id} does not terminate`);
  }

  /** Bytes of a value of that type; 0 for void, functions and forwards. */
  size(id: number): number {
    let factor = 1;
    let at = id;
    for (let step = 0; step < MAX_STEPS; step++) {
      at = this.resolve(at);
      switch (this.kind(at)) {
        case Kind.INT:
        case Kind.STRUCT:
        case Kind.UNION:
        case Kind.ENUM:
        case Kind.ENUM64:
        case Kind.FLOAT:
        case Kind.DATASEC: {
          const bytes = factor * this.sizeOrType(at);
          if (!Number.isSafeInteger(bytes)) throw new KernelError('damaged', `BTF: type ${id} has an invalid size`);
          return bytes;
        }
        case Kind.PTR:
          return factor * 8;
        case Kind.ARRAY:
          factor *= this.extra(at, 2);
          at = this.extra(at, 0);
          break;
        case Kind.VAR:
          at = this.sizeOrType(at);
          break;
        default:
          return 0;
      }
    }
    throw new KernelError('damaged', `BTF: array type ${id} does not terminate`);
  }

  #anySignedEnum(): boolean {
    return this.#offsets.some((at) => {
      const info = this.#words[at + 1]!;
      return info >>> 31 === 1 && ((info >>> 24) & 0x7f) === Kind.ENUM;
    });
  }

  #indexNames(): TypeNames {
    const types = new Int32Array(this.#named.length);
    const nameAt = new Int32Array(this.#named.length);
    const baseNamed: number[] = [];
    let count = 0;
    for (const index of this.#named) {
      const name = this.#words[this.#offsets[index]!]!;
      if (name < this.#stringsStart) {
        baseNamed.push(this.firstId + index);
        continue;
      }
      if (name - this.#stringsStart >= this.#strings.length) continue;
      types[count] = this.firstId + index;
      nameAt[count++] = name - this.#stringsStart;
    }
    const heads = new NameHeads(this.#strings, nameAt.subarray(0, count), this.#lazy);
    return { types, heads, baseNamed };
  }

  #home(id: number): Btf {
    let home: Btf = this;
    while (id < home.firstId && home.#base) home = home.#base;
    if (id < home.firstId || id >= home.endId) throw new KernelError('damaged', `BTF: no type ${id}`);
    return home;
  }

  #word(id: number, word: number): number {
    const at = this.#offsets[id - this.firstId]! + word;
    const value = this.#words[at];
    if (value === undefined) throw new KernelError('damaged', `BTF: type ${id} is truncated`);
    return value;
  }
}

interface TypeNames {
  /** The id of each entry of `heads`. */
  readonly types: Int32Array;
  readonly heads: NameHeads;
  /** Ids of a module's types whose names are in the base's strings. */
  readonly baseNamed: readonly number[];
}

function latin1(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString('latin1');
}
