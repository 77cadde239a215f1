/** Longest name that can be found, in bytes; bounds the hash of text without terminators. */
const MOST_NAME = 512;

/**
 * A hash table over names that stay where they are, in one large text: nothing is decoded, and a hit
 * is compared byte by byte.
 */
export class NameIndex {
  readonly #text: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #terminator: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;

  /**
   * @param nameAt where in `text` the name of each entry begins
   * @param terminator the byte that ends every name: 0 or a newline
   */
  constructor(text: Uint8Array, nameAt: Int32Array, terminator: number) {
    this.#text = text;
    this.#nameAt = nameAt;
    this.#terminator = terminator;
    let buckets = 16;
    while (buckets < nameAt.length) buckets *= 2;
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#next = new Int32Array(nameAt.length);
    for (let entry = 0; entry < nameAt.length; entry++) {
      const bucket = hash(text, nameAt[entry]!, terminator) & (buckets - 1);
      this.#next[entry] = this.#heads[bucket]!;
      this.#heads[bucket] = entry;
    }
  }

  /** Numbers of all entries of that name, in no order. */
  find(name: string): number[] {
    const bytes = Buffer.from(name, 'latin1');
    const found: number[] = [];
    if (bytes.length === 0 || bytes.length >= MOST_NAME || bytes.includes(this.#terminator))
      return found;
    const bucket = hash(bytes, 0, this.#terminator) & (this.#heads.length - 1);
    for (let entry = this.#heads[bucket]!; entry >= 0; entry = this.#next[entry]!) {
      if (this.#matches(this.#nameAt[entry]!, bytes)) found.push(entry);
    }
    return found;
  }

  #matches(at: number, bytes: Uint8Array): boolean {
    const text = this.#text;
    for (let index = 0; index < bytes.length; index++) {
      if (text[at + index] !== bytes[index]) return false;
    }
    const after = text[at + bytes.length];
    return after === this.#terminator || after === undefined;
  }
}

/** FNV-1a of the bytes up to the terminator. */
function hash(text: Uint8Array, from: number, terminator: number): number {
  let value = 0x811c9dc5;
  const end = Math.min(text.length, from + MOST_NAME);
  for (let at = from; at < end; at++) {
    const byte = text[at]!;
    if (byte === terminator) break;
    value = Math.imul(value ^ byte, 0x01000193);
  }
  return value ^ (value >>> 15);
}
