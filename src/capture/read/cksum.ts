/**
 * CRC-32 as cksum has it (POSIX, cksum): polynomial 0x04C11DB7, highest bit first. Eight bytes at a time:
 * table K has what a byte makes that K others follow.
 */
const TABLES: Int32Array[] = [
  Int32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte << 24;
    for (let bit = 0; bit < 8; bit++)
      remainder = remainder < 0 ? (remainder << 1) ^ 0x04c11db7 : remainder << 1;
    return remainder;
  }),
];
for (let index = 1; index < 8; index++) {
  const before = TABLES[index - 1]!;
  TABLES.push(before.map((each) => next(each, 0)));
}
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as unknown as Eight;
type Eight = [
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ...[Int32Array, Int32Array, Int32Array, Int32Array],
];

/** What `cksum` says of bytes that come in pieces. */
export class Cksum {
  #crc = 0;
  #length = 0;

  add(bytes: Uint8Array): void {
    let crc = this.#crc;
    const end = bytes.length - (bytes.length % 8);
    let at = 0;
    for (; at < end; at += 8)
      crc =
        T7[(crc >>> 24) ^ bytes[at]!]! ^
        T6[((crc >>> 16) & 0xff) ^ bytes[at + 1]!]! ^
        T5[((crc >>> 8) & 0xff) ^ bytes[at + 2]!]! ^
        T4[(crc & 0xff) ^ bytes[at + 3]!]! ^
        T3[bytes[at + 4]!]! ^
        T2[bytes[at + 5]!]! ^
        T1[bytes[at + 6]!]! ^
        T0[bytes[at + 7]!]!;
    for (; at < bytes.length; at++) crc = next(crc, bytes[at]!);
    this.#crc = crc;
    this.#length += bytes.length;
  }

  /** Of all that was added; their number goes into it too, lowest byte first. */
  get value(): number {
    let crc = this.#crc;
    for (let left = this.#length; left > 0; left = Math.floor(left / 256))
      crc = next(crc, left & 0xff);
    return ~crc >>> 0;
  }
}

/** What `cksum` says of these bytes. */
export function cksum(bytes: Uint8Array): number {
  const sum = new Cksum();
  sum.add(bytes);
  return sum.value;
}

function next(crc: number, byte: number): number {
  return (crc << 8) ^ TABLES[0]![(crc >>> 24) ^ byte]!;
}
