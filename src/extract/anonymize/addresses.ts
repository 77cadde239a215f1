/**
 * Made-up addresses for real ones: the same for the same, other ones for others, and of the same kind
 * (loopback, private, link-local, multicast, public), which an answer may turn on. Numbers are given
 * in the order of first use, so that nothing of an address can be read out of its replacement.
 */
export class Addresses {
  readonly #v4 = new Map<string, Uint8Array>();
  readonly #v6 = new Map<string, Uint8Array>();
  readonly #counts = new Map<string, number>();

  /** @param address 4 bytes in network order */
  v4(address: Uint8Array): Uint8Array {
    const key = address.join('.');
    let made = this.#v4.get(key);
    if (made === undefined) {
      made = this.#makeV4(address);
      this.#v4.set(key, made);
    }
    return made;
  }

  /** @param address 16 bytes in network order */
  v6(address: Uint8Array): Uint8Array {
    const key = Buffer.from(address).toString('hex');
    let made = this.#v6.get(key);
    if (made === undefined) {
      made = this.#makeV6(address);
      this.#v6.set(key, made);
    }
    return made;
  }

  #makeV4(address: Uint8Array): Uint8Array {
    const [a, b] = [address[0]!, address[1]!];
    // Any, loopback and broadcast name nobody.
    if (a === 0 || a === 127 || address.every((byte) => byte === 255)) return address.slice();
    const under = (kind: string, prefix: readonly number[]): Uint8Array =>
      withNumber(prefix, this.#next(kind), 4);
    if (a === 10) return under('10', [10]);
    if (a === 172 && (b & 0xf0) === 16) return under('172', [172, 16]);
    if (a === 192 && b === 168) return under('192', [192, 168]);
    if (a === 169 && b === 254) return under('169', [169, 254]);
    if (a >= 224 && a < 240) return under('multicast', [239]);
    // Class E: public to every program, and given to nobody.
    return under('public', [240]);
  }

  #makeV6(address: Uint8Array): Uint8Array {
    const mapped = address.subarray(0, 10).every((byte) => byte === 0);
    if (mapped && address[10] === 0xff && address[11] === 0xff) {
      const made = address.slice();
      made.set(this.v4(address.subarray(12)), 12);
      return made;
    }
    // :: and ::1
    if (address.subarray(0, 15).every((byte) => byte === 0) && address[15]! <= 1)
      return address.slice();
    const under = (kind: string, prefix: readonly number[]): Uint8Array =>
      withNumber(prefix, this.#next(kind), 16);
    if (address[0] === 0xff) return under('ff', [0xff, address[1]!]);
    if (address[0] === 0xfe && (address[1]! & 0xc0) === 0x80) return under('fe80', [0xfe, 0x80]);
    if ((address[0]! & 0xfe) === 0xfc) return under('fd', [0xfd]);
    // 2001:db8::/32, for documentation.
    return under('public', [0x20, 0x01, 0x0d, 0xb8]);
  }

  #next(kind: string): number {
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    return number;
  }
}

/** A prefix, zeros, and a number in the last bytes (as many as there is room for, four at most). */
function withNumber(prefix: readonly number[], number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let rest = number;
  for (let at = length - 1; at >= Math.max(prefix.length, length - 4); at--) {
    bytes[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(prefix);
  return bytes;
}
