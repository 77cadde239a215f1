/** Writes LEB128: seven bits a byte, the lowest first. Numbers are whole and below 2⁴⁹. */
export class VarintWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;

  push(number: number): void {
    // No number takes more than these.
    if (this.#length + 8 > this.#bytes.length) this.#grow();
    let rest = number;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80))
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  /** All that was written. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(): void {
    const larger = new Uint8Array(2 * this.#bytes.length);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Reads such numbers one after the other. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #damaged: (how: string) => Error;
  #at = 0;

  /** @param damaged makes the error that is thrown when a number is none */
  constructor(bytes: Uint8Array, damaged: (how: string) => Error) {
    this.#bytes = bytes;
    this.#damaged = damaged;
  }

  /** Bytes that were read. */
  get at(): number {
    return this.#at;
  }

  /** Passes over numbers that are known, so many bytes. */
  skip(bytes: number): void {
    this.#at += bytes;
  }

  /** The next number, or undefined at the end. */
  next(): number | undefined {
    if (this.#at >= this.#bytes.length) return undefined;
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw this.#damaged('truncated number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw this.#damaged('number does not end');
  }
}
