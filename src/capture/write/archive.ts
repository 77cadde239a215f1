import { gzipSync } from 'node:zlib';
import { noteRead } from '../../base/collect-garbage.js';
import { Cksum } from '../read/cksum.js';
import { TOP_DIRECTORY } from '../read/contents.js';
/** Takes bytes in order. */
export type Sink = (bytes: Buffer) => void;

/** So much is packed at once. */
const PIECE_BYTES = 256 * 1024;
const FIRST_BYTES = 4096;
/** A level at which the packing of a large host takes a second, not three. */
const LEVEL = 4;

const pack = (bytes: Buffer): Buffer => gzipSync(bytes, { level: LEVEL });

/**
 * Writes a tar.gz of files whose sizes are not known before they end. tar wants the size first, so a file
 * is packed as it comes and kept packed until then: one gzip member after the other, which every gunzip
 * reads as one stream. Memory: a piece of each open file, and what it was packed to.
 */
export class Archive {
  /** Bytes of the archive so far. */
  bytes = 0;
  readonly #sink: Sink;
  readonly #seconds: number;
  readonly #sums: string[] = [];
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isFinished = false;

  /** @param now when it is written; milliseconds since 1970 */
  constructor(sink: Sink, now: number) {
    this.#sink = sink;
    this.#seconds = now / 1000;
  }

  /** How many files it has; the manifest, which lists them, does not count. */
  get files(): number {
    return this.#sums.length - (this.#isFinished ? 1 : 0);
  }

  /** A file that is written piece by piece. */
  member(name: string): Member {
    return new Member((raw, packed, size, sum) => {
      this.#sums.push(`${sum} ${size} ./${name}\n`);
      this.#push(tarHeader(`${TOP_DIRECTORY}/${name}`, size, this.#seconds));
      if (packed.length === 0) this.#push(raw);
      else {
        this.#flush();
        for (const piece of packed) this.#write(piece);
        this.#push(raw);
      }
      this.#push(padding(size));
    });
  }

  /** A whole file. */
  add(name: string, content: string | Buffer): void {
    const member = this.member(name);
    member.write(content);
    member.end();
  }

  /** The manifest (capture/read/manifest.ts), and the archive's end. */
  finish(): void {
    const lines = this.#sums.join('');
    this.add('manifest', `${lines}whole ${this.files}\n`);
    this.#isFinished = true;
    this.#push(END_OF_ARCHIVE);
    this.#flush();
  }

  #push(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= PIECE_BYTES) this.#flush();
  }

  #flush(): void {
    if (this.#waitingBytes > 0) this.#write(pack(Buffer.concat(this.#waiting)));
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #write(bytes: Buffer): void {
    this.bytes += bytes.length;
    this.#sink(bytes);
  }
}

type OnEnd = (raw: Buffer, packed: readonly Buffer[], size: number, sum: number) => void;

/** A file of an archive. One that is never ended is not in it. */
export class Member {
  readonly #onEnd: OnEnd;
  readonly #sum = new Cksum();
  readonly #packed: Buffer[] = [];
  /** What is not packed yet. One buffer for all of it: what is thrown away is memory until it is collected. */
  #raw = Buffer.allocUnsafe(FIRST_BYTES);
  #filled = 0;
  #before = 0;

  constructor(onEnd: OnEnd) {
    this.#onEnd = onEnd;
  }

  /** Bytes so far. */
  get size(): number {
    return this.#before + this.#filled;
  }

  /** A string has a byte in each character. Bytes are copied: they may be used again. */
  write(content: string | Buffer): void {
    for (let from = 0; from < content.length; ) {
      const count = Math.min(content.length - from, PIECE_BYTES - this.#filled);
      this.#makeRoom(count);
      const end = this.#filled + count;
      if (typeof content === 'string')
        this.#raw.write(
          count < content.length ? content.slice(from, from + count) : content,
          this.#filled,
          'latin1',
        );
      else content.copy(this.#raw, this.#filled, from, from + count);
      this.#filled = end;
      from += count;
      if (end === PIECE_BYTES) this.#pack();
    }
  }

  #makeRoom(count: number): void {
    let { length } = this.#raw;
    while (length < this.#filled + count) length *= 2;
    if (length === this.#raw.length) return;
    const more = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
    this.#raw.copy(more, 0, 0, this.#filled);
    this.#raw = more;
  }

  #pack(): void {
    const bytes = this.#take();
    if (bytes.length > 0) this.#packed.push(pack(bytes));
  }

  #take(): Buffer {
    const bytes = this.#raw.subarray(0, this.#filled);
    this.#sum.add(bytes);
    this.#before += bytes.length;
    noteRead(bytes.length);
    this.#filled = 0;
    return bytes;
  }

  end(): void {
    const rest = this.#take();
    this.#onEnd(rest, this.#packed, this.size, this.#sum.value);
  }
}

const BLOCK = 512;
/** A header has room for no longer name; those of a snapshot are short. */
const MOST_NAME = 100;

/** The zeros that fill a member's last block. */
function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

/**
 * The header of a regular file in a tar archive (POSIX ustar), for its owner's eyes alone.
 *
 * @param seconds when it was written, since 1970
 */
function tarHeader(name: string, size: number, seconds: number): Buffer {
  if (Buffer.byteLength(name) > MOST_NAME) throw new RangeError(`${name} is too long for tar`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) =>
    `${Math.floor(value).toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o600, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(seconds, 11), 136);
  // The sum is made with its own field as blanks.
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
