import { HostError } from '../../base/errors/host.js';

const BLOCK = 512;
/** A name in a header record of its own (GNU `L`, pax `path`) is not longer than this. */
const MAX_NAME_BYTES = 64 * 1024;

/**
 * Reads a tar stream (ustar, GNU, pax) that comes in pieces and hands on the regular files that are
 * wanted. Links, devices and everything else are passed over; nothing is ever written to disk.
 * Throws `HostError` `unreadable` when it is no tar, or cut.
 */
export class TarReader {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** The open entry: bytes still to come of it, and of the padding behind it. */
  #entry: Entry | null = null;
  #longName: string | null = null;
  #ended = false;
  #entries = 0;

  constructor(
    /** How many bytes of a file are wanted at most; null: it is not. */
    readonly wants: (name: string) => number | null,
    /** Told of the bytes that were wanted, and of the file's whole size. */
    readonly onFile: (name: string, bytes: Buffer, size: number) => void,
    /** Told of a symbolic link and its target, as the archive has them. */
    readonly onLink: (name: string, target: string) => void = () => undefined,
  ) {}

  push(piece: Buffer): void {
    if (this.#ended) return;
    this.#pending.push(piece);
    this.#pendingBytes += piece.length;
    while (!this.#ended && (this.#entry ? this.#body(this.#entry) : this.#header()));
  }

  /** The archive's own end has been seen: what follows is of no interest. */
  get ended(): boolean {
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
    if (!isHeader(block))
      throw new HostError('not-a-capture', 'the archive is not a tar file, or is corrupt');
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
    if (meta && size > MAX_NAME_BYTES)
      throw new HostError('not-a-capture', 'a file name in the archive is too long');
    this.#entry = {
      name,
      type,
      kept: limit === null ? null : Buffer.allocUnsafe(Math.min(size, limit)),
      filled: 0,
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
      entry.filled += entry.kept ? bytes.copy(entry.kept, entry.filled) : 0;
      return true;
    }
    if (this.#pendingBytes < entry.padding) return false;
    this.#take(entry.padding);
    this.#entry = null;
    if (!entry.kept) return true;
    const bytes = entry.kept;
    if (entry.type === 'L') this.#longName = text(bytes, 0, bytes.length);
    else if (entry.type === 'x')
      this.#longName = /(?:^|\n)\d+ path=(.*)\n/.exec(bytes.toString('utf8'))?.[1] ?? null;
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
  /** What is kept of it, null when nothing is. */
  readonly kept: Buffer | null;
  filled: number;
  readonly size: number;
  left: number;
  readonly padding: number;
}

/** The checksum is the sum of the header's bytes with its own field as blanks. */
function isHeader(block: Buffer): boolean {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++)
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
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
