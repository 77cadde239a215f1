import { HostError } from '../../base/errors.js';

const BLOCK = 512;
/** Maximum length of a name in a header record of its own (GNU `L`, pax `path`). */
const MAX_NAME_BYTES = 64 * 1024;

/**
 * Reads a streamed tar archive (ustar, GNU, pax) and passes on the requested regular files. Links,
 * devices and all other entries are skipped; nothing is written to disk. Throws `HostError`
 * `unreadable` if it is malformed or truncated.
 */
export class TarReader {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The current entry: remaining bytes of its data, and of the padding after it. */
  #entry: Entry | null = null;
  #longName: string | null = null;
  #ended = false;
  #entries = 0;

  constructor(
    /** Returns the maximum number of bytes to read of a file; null: skip it. */
    readonly wants: (name: string) => number | null,
    /** Receives the bytes of a file, and its full size. */
    readonly onFile: (name: string, bytes: Buffer, size: number) => void,
    /** Receives a symbolic link and its target, as stored in the archive. */
    readonly onLink: (name: string, target: string) => void = () => undefined,
    /** Returns a function that receives a file in pieces, if none of it was requested otherwise; undefined: skip it. */
    readonly streamed: (name: string) => ((piece: Buffer) => void) | undefined = () => undefined,
  ) {}

  push(piece: Buffer): void {
    if (this.#ended) return;
    this.#pending.push(piece);
    this.#pendingBytes += piece.length;
    while (!this.#ended && (this.#entry ? this.#body(this.#entry) : this.#header()));
  }

  /** Whether the archive's end marker was read: later data is ignored. */
  get isComplete(): boolean {
    return this.#ended;
  }

  end(): void {
    if (!this.#ended || this.#entries === 0)
      throw new HostError('not-a-capture', 'the archive is not a tar file, or is truncated');
  }

  #header(): boolean {
    if (this.#pendingBytes < BLOCK) return false;
    const block = this.#take(BLOCK);
    if (block.every((byte) => byte === 0)) {
      this.#ended = true;
      return false;
    }
    if (!isHeader(block)) throw new HostError('not-a-capture', 'the archive is not a tar file, or is corrupt');
    this.#entries++;
    const size = sizeOf(block);
    const type = String.fromCharCode(block[156] ?? 0);
    const prefix = block.toString('latin1', 257, 262) === 'ustar' ? text(block, 345, 155) : '';
    const short = text(block, 0, 100);
    const name = this.#longName ?? (prefix === '' ? short : `${prefix}/${short}`);
    const meta = type === 'L' || type === 'x';
    if (!meta) this.#longName = null;
    const file = type === '0' || type === '\0';
    if (type === '2') this.onLink(name, text(block, 157, 100));
    const limit = meta ? MAX_NAME_BYTES : file ? this.wants(name) : null;
    if (meta && size > MAX_NAME_BYTES) throw new HostError('not-a-capture', 'a file name in the archive is too long');
    this.#entry = {
      name,
      type,
      data: limit === null ? null : Buffer.allocUnsafe(Math.min(size, limit)),
      filled: 0,
      onPiece: file && limit === null ? this.streamed(name) : undefined,
      size,
      left: size,
      padding: (BLOCK - (size % BLOCK)) % BLOCK,
    };
    return true;
  }

  #body(entry: Entry): boolean {
    if (entry.left > 0) {
      if (this.#pendingBytes === 0) return false;
      const bytes = this.#take(Math.min(entry.left, this.#pendingBytes));
      entry.left -= bytes.length;
      entry.filled += entry.data ? bytes.copy(entry.data, entry.filled) : 0;
      entry.onPiece?.(bytes);
      return true;
    }
    if (this.#pendingBytes < entry.padding) return false;
    this.#take(entry.padding);
    this.#entry = null;
    if (!entry.data) return true;
    const bytes = entry.data;
    if (entry.type === 'L') this.#longName = text(bytes, 0, bytes.length);
    else if (entry.type === 'x') this.#longName = /(?:^|\n)\d+ path=(.*)\n/.exec(bytes.toString('utf8'))?.[1] ?? null;
    else this.onFile(entry.name, bytes, entry.size);
    return true;
  }

  #take(count: number): Buffer {
    const [first] = this.#pending;
    this.#pendingBytes -= count;
    if (first && first.length > count) {
      this.#pending[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const all = this.#pending.length === 1 && first ? first : Buffer.concat(this.#pending);
    this.#pending = count < all.length ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  }
}

interface Entry {
  readonly name: string;
  readonly type: string;
  /** Data to keep, null if the entry is skipped. */
  readonly data: Buffer | null;
  filled: number;
  readonly onPiece: ((piece: Buffer) => void) | undefined;
  readonly size: number;
  left: number;
  readonly padding: number;
}

/** The checksum is the sum of the header's bytes with its own field as blanks. */
function isHeader(block: Buffer): boolean {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
  return Number.parseInt(text(block, 148, 8).trim(), 8) === sum;
}

/** Octal, or base 256 with the first bit set (GNU) for 8 GiB and more. */
function sizeOf(block: Buffer): number {
  const size =
    ((block[124] ?? 0) & 0x80) !== 0
      ? block.readUIntBE(130, 6)
      : Number.parseInt(text(block, 124, 12).trim() || '0', 8);
  if (!Number.isSafeInteger(size)) throw new HostError('not-a-capture', 'the archive is corrupt');
  return size;
}

function text(bytes: Buffer, at: number, length: number): string {
  const end = bytes.indexOf(0, at);
  return bytes.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

/**
 * CRC-32 as computed by cksum (POSIX): polynomial 0x04C11DB7, highest bit first. Eight bytes at a time:
 * table K has the effect of a byte that K others follow.
 */
const TABLES: Int32Array[] = [
  Int32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte << 24;
    for (let bit = 0; bit < 8; bit++) remainder = remainder < 0 ? (remainder << 1) ^ 0x04c11db7 : remainder << 1;
    return remainder;
  }),
];
for (let index = 1; index < 8; index++) {
  const before = TABLES[index - 1]!;
  TABLES.push(before.map((value) => next(value, 0)));
}
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as unknown as Eight;
type Eight = [...[Int32Array, Int32Array, Int32Array, Int32Array], ...[Int32Array, Int32Array, Int32Array, Int32Array]];

/** Checksum of `cksum` for streamed bytes. */
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

  /** Checksum of all bytes so far; their count is included, lowest byte first. */
  get value(): number {
    let crc = this.#crc;
    for (let remaining = this.#length; remaining > 0; remaining = Math.floor(remaining / 256))
      crc = next(crc, remaining & 0xff);
    return ~crc >>> 0;
  }
}

/** Returns the checksum of `cksum` for these bytes. */
export function cksum(bytes: Uint8Array): number {
  const sum = new Cksum();
  sum.add(bytes);
  return sum.value;
}

function next(crc: number, byte: number): number {
  return (crc << 8) ^ TABLES[0]![(crc >>> 24) ^ byte]!;
}
