import { KernelError } from '../../../base/errors.js';
import { Btf } from '../btf/btf.js';
import { Kind, TYPE_WORDS } from '../btf/format.js';

/** Far more than any kernel needs: current vmlinux files need about 2 million words. */
const MAX_WORDS = 1 << 26;
const MAX_TEXT_BYTES = 1 << 27;
/** A struct with bitfields has 24 bits for a member's offset (kind_flag, include/uapi/linux/btf.h). */
const MAX_FLAGGED_BITS = 1 << 24;
/** `kind_flag` in the second word of a type. */
const FLAG = 2 ** 31;
/** Kinds whose third word is another type. */
const REFERS: ReadonlySet<number> = new Set([Kind.PTR, Kind.TYPEDEF, Kind.FUNC_PROTO]);

/** A member of a struct or union; `bitSize` is 0 for other members than bitfields. */
export interface BuiltMember {
  readonly name: number;
  readonly type: number;
  readonly bitOffset: number;
  readonly bitSize: number;
}

/**
 * Builds BTF from another description of types. Equal types, including all nested types, are stored once: a
 * vmlinux describes most of its types in each of 3,000 object files.
 *
 * A pointer refers to a struct by name (a forward declaration), not to its definition: otherwise types that
 * refer to each other could not be compared. {@link build} replaces the name by its first definition.
 */
export class BtfBuilder {
  readonly #texts: Uint8Array;
  /** Strings that `texts` lacks, and the offset of each. */
  #addedTexts = Buffer.alloc(1 << 16);
  #addedLength = 0;
  readonly #known = new Map<string, number>();
  #words = new Uint32Array(1 << 18);
  #length = 0;
  /** Word offset of each type by id; unused for id 0. */
  #starts = new Uint32Array(1 << 16);
  #count = 1;
  /** Type ids by the hash of their words: open addressing, 0 is free. */
  #table = new Uint32Array(1 << 17);
  #hashes = new Uint32Array(1 << 16);
  /** Words of the type under construction. */
  #record = new Uint32Array(1 << 10);

  /** @param texts NUL-terminated strings whose offsets serve as names; byte 0 is a NUL */
  constructor(texts: Uint8Array = new Uint8Array(1)) {
    this.#texts = texts;
  }

  /** Returns the name of a text, adding it if `texts` lacks it. */
  name(text: string): number {
    if (text === '') return 0;
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const bytes = Buffer.from(`${text}\0`, 'latin1');
    const at = this.#addedLength;
    if (at + bytes.length > MAX_TEXT_BYTES) throw tooMany('names');
    if (at + bytes.length > this.#addedTexts.length) {
      const larger = Buffer.alloc(Math.max(this.#addedTexts.length * 2, at + bytes.length));
      larger.set(this.#addedTexts);
      this.#addedTexts = larger;
    }
    this.#addedTexts.set(bytes, at);
    this.#addedLength += bytes.length;
    const name = this.#texts.length + at;
    this.#known.set(text, name);
    return name;
  }

  /** An integer; `encoding` as BTF_INT_ENCODING has it: 1 signed, 2 char, 4 bool. */
  int(name: number, size: number, encoding: number): number {
    return this.#add(Kind.INT, name, 0, size, [((encoding << 24) | ((size * 8) & 0xff)) >>> 0]);
  }

  /** A type that consists only of a kind, a name and a size or another type. */
  plain(kind: number, name: number, sizeOrType: number): number {
    return this.#add(kind, name, 0, sizeOrType, []);
  }

  /** A forward declaration of a struct or union. */
  declared(kind: number, name: number): number {
    return this.#add(Kind.FWD, name, kind === Kind.UNION ? FLAG : 0, 0, []);
  }

  array(element: number, count: number): number {
    return this.#add(Kind.ARRAY, 0, 0, 0, [element, 0, count]);
  }

  prototype(returns: number, parameters: readonly number[]): number {
    const words = parameters.flatMap((type) => [0, type]);
    return this.#add(Kind.FUNC_PROTO, 0, parameters.length, returns, words);
  }

  enumeration(
    name: number,
    size: number,
    values: readonly { readonly name: number; readonly value: bigint }[],
  ): number {
    const flag = values.some(({ value }) => value < 0n) ? FLAG : 0;
    const wide = size > 4;
    const words = values.flatMap(({ name: of, value }) => {
      const low = Number(BigInt.asUintN(32, value));
      return wide ? [of, low, Number(BigInt.asUintN(32, value >> 32n))] : [of, low];
    });
    return this.#add(wide ? Kind.ENUM64 : Kind.ENUM, name, flag + values.length, size, words);
  }

  /** A struct or union. It stays a forward declaration if BTF cannot represent its bitfields. */
  aggregate(kind: number, name: number, size: number, members: readonly BuiltMember[]): number {
    const flagged = members.some(({ bitSize }) => bitSize > 0);
    const limit = flagged ? MAX_FLAGGED_BITS : 2 ** 32;
    const fits = (member: BuiltMember) => member.bitOffset >= 0 && member.bitOffset < limit;
    if (size >= 2 ** 32 || !members.every((member) => fits(member) && member.bitSize < 256))
      return this.declared(kind, name);
    let at = TYPE_WORDS;
    this.#need(at + members.length * 3);
    const record = this.#record;
    for (const { name: of, type, bitOffset, bitSize } of members) {
      record[at++] = of;
      record[at++] = type;
      record[at++] = flagged ? ((bitSize << 24) | bitOffset) >>> 0 : bitOffset;
    }
    return this.#intern(kind, name, (flagged ? FLAG : 0) + members.length, size, at);
  }

  /** Returns the BTF. The builder cannot be used afterwards. */
  build(): Btf {
    this.#resolveDeclarations();
    const strings = new Uint8Array(this.#texts.length + this.#addedLength);
    strings.set(this.#texts);
    strings.set(this.#addedTexts.subarray(0, this.#addedLength), this.#texts.length);
    const words = this.#words.subarray(0, this.#length);
    return new Btf(new Uint8Array(words.buffer, 0, words.byteLength), strings);
  }

  /** Redirects references from a forward declaration to the first definition of that name. */
  #resolveDeclarations(): void {
    const words = this.#words;
    const defined = new Map<string, number>();
    const names: [id: number, key: string][] = [];
    for (let id = 1; id < this.#count; id++) {
      const at = this.#starts[id]!;
      const info = words[at + 1]!;
      const kind = (info >>> 24) & 0x7f;
      const name = words[at]!;
      if (name === 0) continue;
      if (kind === Kind.FWD) names.push([id, `${info >= FLAG ? Kind.UNION : Kind.STRUCT} ${name}`]);
      else if ((kind === Kind.STRUCT || kind === Kind.UNION) && !defined.has(`${kind} ${name}`))
        defined.set(`${kind} ${name}`, id);
    }
    const leads = new Map<number, number>();
    for (const [id, key] of names) {
      const definition = defined.get(key);
      if (definition !== undefined) leads.set(id, definition);
    }
    const redirect = (at: number): void => {
      words[at] = leads.get(words[at]!) ?? words[at]!;
    };
    for (let id = 1; id < this.#count; id++) {
      const at = this.#starts[id]!;
      const info = words[at + 1]!;
      const kind = (info >>> 24) & 0x7f;
      if (REFERS.has(kind)) redirect(at + 2);
      const count = info & 0xffffff;
      const first = at + TYPE_WORDS;
      if (kind === Kind.ARRAY) redirect(first);
      else if (kind === Kind.STRUCT || kind === Kind.UNION)
        for (let index = 0; index < count; index++) redirect(first + index * 3 + 1);
      else if (kind === Kind.FUNC_PROTO) for (let index = 0; index < count; index++) redirect(first + index * 2 + 1);
    }
  }

  /** @param low flag and number of elements */
  #add(kind: number, name: number, low: number, sizeOrType: number, words: readonly number[]): number {
    this.#need(TYPE_WORDS + words.length);
    this.#record.set(words, TYPE_WORDS);
    return this.#intern(kind, name, low, sizeOrType, TYPE_WORDS + words.length);
  }

  /** Returns the id of the type whose words are in the record from TYPE_WORDS on, reusing an equal type. */
  #intern(kind: number, name: number, low: number, sizeOrType: number, length: number): number {
    const record = this.#record;
    record[0] = name;
    record[1] = kind * 2 ** 24 + low;
    record[2] = sizeOrType;
    let hash = length;
    for (let at = 0; at < length; at++) {
      hash = Math.imul(hash ^ record[at]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    const mask = this.#table.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.#table[slot]!;
      if (id === 0) {
        const newId = this.#append(length, hash);
        this.#table[slot] = newId;
        if (this.#count * 2 > this.#table.length) this.#rehash();
        return newId;
      }
      if (this.#equal(id, length)) return id;
    }
  }

  #equal(id: number, length: number): boolean {
    const start = this.#starts[id]!;
    const end = id + 1 < this.#count ? this.#starts[id + 1]! : this.#length;
    if (end - start !== length) return false;
    for (let at = 0; at < length; at++) if (this.#words[start + at] !== this.#record[at]) return false;
    return true;
  }

  #append(length: number, hash: number): number {
    if (this.#length + length > MAX_WORDS) throw tooMany('types');
    this.#words = grown(this.#words, this.#length + length);
    this.#words.set(this.#record.subarray(0, length), this.#length);
    this.#starts = grown(this.#starts, this.#count + 1);
    this.#starts[this.#count] = this.#length;
    this.#length += length;
    this.#hashes = grown(this.#hashes, this.#count + 1);
    this.#hashes[this.#count] = hash;
    return this.#count++;
  }

  #need(words: number): void {
    this.#record = grown(this.#record, words);
  }

  #rehash(): void {
    const table = new Uint32Array(this.#table.length * 2);
    const mask = table.length - 1;
    for (let id = 1; id < this.#count; id++) {
      let slot = this.#hashes[id]! & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = id;
    }
    this.#table = table;
  }
}

function grown(array: Uint32Array<ArrayBuffer>, length: number): Uint32Array<ArrayBuffer> {
  if (length <= array.length) return array;
  const larger = new Uint32Array(Math.max(array.length * 2, length));
  larger.set(array);
  return larger;
}

function tooMany(objects: string): KernelError {
  return new KernelError('unsupported-format', `too many ${objects}`);
}
