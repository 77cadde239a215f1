/** A member as a test declares it, in bits from the start; `bits` makes it a bitfield. */
export interface WrittenMember {
  readonly name: string;
  readonly type: number;
  readonly bitOffset: number;
  readonly bits?: number;
}

/** Writes BTF type by type (include/uapi/linux/btf.h). Every method returns the id of the new type. */
export class BtfWriter {
  readonly #words: number[] = [];
  readonly #stringsStart: number;
  readonly #inherited: ReadonlyMap<string, number>;
  readonly #strings = new Map<string, number>();
  #stringBytes: number[] = [];
  #next: number;

  /** @param base writer of the kernel's types, to append a module's types to */
  constructor(base?: BtfWriter) {
    this.#next = base ? base.#next : 1;
    this.#stringsStart = base ? base.#stringsStart + base.#stringBytes.length : 0;
    this.#inherited = base ? base.#strings : new Map();
    if (!base) this.string('');
  }

  /** One past the last id. */
  get endId(): number {
    return this.#next;
  }

  /** One past the last string's offset. */
  get stringsEnd(): number {
    return this.#stringsStart + this.#stringBytes.length;
  }

  string(text: string): number {
    const known = this.#inherited.get(text) ?? this.#strings.get(text);
    if (known !== undefined) return known;
    const at = this.#stringsStart + this.#stringBytes.length;
    this.#stringBytes.push(...Buffer.from(`${text}\0`, 'latin1'));
    this.#strings.set(text, at);
    return at;
  }

  /** Adds a type of any kind, unchanged. */
  raw(name: string, kind: number, vlen: number, flag: boolean, sizeOrType: number, extra: number[] = []): number {
    const info = ((flag ? 1 << 31 : 0) | (kind << 24) | vlen) >>> 0;
    this.#words.push(this.string(name), info, sizeOrType, ...extra);
    return this.#next++;
  }

  /** `bits` and `shift`: the old encoding of a bitfield's type. */
  int(name: string, size: number, { signed = false, bits = size * 8, shift = 0, flags = 0 } = {}): number {
    const encoding = ((((signed ? 1 : 0) | flags) << 24) | (shift << 16) | bits) >>> 0;
    return this.raw(name, 1, 0, false, size, [encoding]);
  }

  pointer(type: number): number {
    return this.raw('', 2, 0, false, type);
  }

  array(element: number, count: number, index = 0): number {
    return this.raw('', 3, 0, false, 0, [element, index, count]);
  }

  struct(name: string, size: number, members: readonly WrittenMember[]): number {
    return this.#aggregate(4, name, size, members);
  }

  union(name: string, size: number, members: readonly WrittenMember[]): number {
    return this.#aggregate(5, name, size, members);
  }

  enum(name: string, values: Readonly<Record<string, number>>, { signed = false, size = 4 } = {}): number {
    const entries = Object.entries(values);
    const extra = entries.flatMap(([key, value]) => [this.string(key), value >>> 0]);
    return this.raw(name, 6, entries.length, signed, size, extra);
  }

  enum64(name: string, values: Readonly<Record<string, bigint>>, { signed = false } = {}): number {
    const entries = Object.entries(values);
    const extra = entries.flatMap(([key, value]) => [
      this.string(key),
      Number(BigInt.asUintN(32, value)),
      Number(BigInt.asUintN(32, value >> 32n)),
    ]);
    return this.raw(name, 19, entries.length, signed, 8, extra);
  }

  forward(name: string, { union = false } = {}): number {
    return this.raw(name, 7, 0, union, 0);
  }

  typedef(name: string, type: number): number {
    return this.raw(name, 8, 0, false, type);
  }

  volatile(type: number): number {
    return this.raw('', 9, 0, false, type);
  }

  const(type: number): number {
    return this.raw('', 10, 0, false, type);
  }

  typeTag(tag: string, type: number): number {
    return this.raw(tag, 18, 0, false, type);
  }

  prototype(returns: number, parameters: readonly { readonly name: string; readonly type: number }[]): number {
    const extra = parameters.flatMap(({ name, type }) => [this.string(name), type]);
    return this.raw('', 13, parameters.length, false, returns, extra);
  }

  function(name: string, prototype: number): number {
    return this.raw(name, 12, 1, false, prototype);
  }

  variable(name: string, type: number): number {
    return this.raw(name, 14, 0, false, type, [1]);
  }

  section(name: string, size: number, variables: readonly number[]): number {
    const extra = variables.flatMap((type, index) => [type, index * 8, 8]);
    return this.raw(name, 15, variables.length, false, size, extra);
  }

  /** Returns the blob. A later kernel may extend the header: `headerBytes` over 24. */
  build({ headerBytes = 24 } = {}): Uint8Array {
    const types = this.#words.length * 4;
    const bytes = new Uint8Array(headerBytes + types + this.#stringBytes.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0xeb9f, true);
    view.setUint8(2, 1);
    view.setUint32(4, headerBytes, true);
    view.setUint32(8, 0, true);
    view.setUint32(12, types, true);
    view.setUint32(16, types, true);
    view.setUint32(20, this.#stringBytes.length, true);
    for (const [index, word] of this.#words.entries()) view.setUint32(headerBytes + index * 4, word, true);
    bytes.set(this.#stringBytes, headerBytes + types);
    return bytes;
  }

  #aggregate(kind: number, name: string, size: number, members: readonly WrittenMember[]): number {
    const flag = members.some(({ bits }) => bits !== undefined);
    const extra = members.flatMap((member) => [
      this.string(member.name),
      member.type,
      (((flag ? (member.bits ?? 0) : 0) << 24) | member.bitOffset) >>> 0,
    ]);
    return this.raw(name, kind, members.length, flag, size, extra);
  }
}
