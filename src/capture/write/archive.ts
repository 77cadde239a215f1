import { statfsSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { noteRead } from '../../base/collect-garbage.js';
import { isHostError } from '../../base/errors.js';
import { OutputError } from '../../base/output-file.js';
import type { HostSource } from '../../host/host-source.js';
import { listedPids } from '../../host/proc/process.js';
import { TOP_DIRECTORY } from '../read/contents.js';
import { Cksum } from '../read/tar.js';

/** Receives bytes in order. */
export type Sink = (bytes: Buffer) => void;

/** Bytes to compress at a time. */
const PIECE_BYTES = 256 * 1024;
const FIRST_BYTES = 4096;
/** Compresses a large host's snapshot in one second instead of three. */
const LEVEL = 4;

const pack = (bytes: Buffer): Buffer => gzipSync(bytes, { level: LEVEL });

/**
 * Writes a tar.gz of files whose sizes are unknown until they end. tar requires the size first, so a file is
 * compressed while it is written and its compressed data kept until then: consecutive gzip members, which
 * every gunzip reads as one stream. Memory: one piece of each open file, and its compressed data.
 */
export class Archive {
  /** Size of the archive so far, bytes. */
  bytes = 0;
  readonly #sink: Sink;
  readonly #seconds: number;
  readonly #sums: string[] = [];
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isFinished = false;

  /** @param now time of writing; milliseconds since 1970 */
  constructor(sink: Sink, now: number) {
    this.#sink = sink;
    this.#seconds = now / 1000;
  }

  get files(): number {
    return this.#sums.length - (this.#isFinished ? 1 : 0);
  }

  /** Adds a file that is written in pieces. */
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

  /** Adds a complete file. */
  add(name: string, content: string | Buffer): void {
    const member = this.member(name);
    member.write(content);
    member.end();
  }

  /** Writes the manifest (capture/read/manifest.ts) and the archive's end. */
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

/** A file of an archive. It is omitted if it is never ended. */
export class Member {
  readonly #onEnd: OnEnd;
  readonly #sum = new Cksum();
  readonly #packed: Buffer[] = [];
  /** Uncompressed data. A single reused buffer: discarded ones use memory until they are collected. */
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

  /** A string has one byte per character. Bytes are copied: the caller may reuse its buffer. */
  write(content: string | Buffer): void {
    for (let from = 0; from < content.length; ) {
      const count = Math.min(content.length - from, PIECE_BYTES - this.#filled);
      this.#makeRoom(count);
      const end = this.#filled + count;
      if (typeof content === 'string')
        this.#raw.write(count < content.length ? content.slice(from, from + count) : content, this.#filled, 'latin1');
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
    const chunk = Buffer.allocUnsafe(Math.min(length, PIECE_BYTES));
    this.#raw.copy(chunk, 0, 0, this.#filled);
    this.#raw = chunk;
  }

  #pack(): void {
    const bytes = this.#copy();
    if (bytes.length > 0) this.#packed.push(pack(bytes));
  }

  #copy(): Buffer {
    const bytes = this.#raw.subarray(0, this.#filled);
    this.#sum.add(bytes);
    this.#before += bytes.length;
    noteRead(bytes.length);
    this.#filled = 0;
    return bytes;
  }

  end(): void {
    const rest = this.#copy();
    this.#onEnd(rest, this.#packed, this.size, this.#sum.value);
  }
}

const BLOCK = 512;
/** Maximum name length in a header; names in a snapshot are short. */
const MAX_NAME = 100;

/** Zero padding of a member's last block. */
function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

/**
 * Header of a regular file in a tar archive (POSIX ustar), readable only by its owner.
 *
 * @param seconds time of writing, since 1970
 */
function tarHeader(name: string, size: number, seconds: number): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME) throw new RangeError(`${name} is too long for tar`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => `${Math.floor(value).toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o600, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(seconds, 11), 136);
  // The checksum is computed with its own field as blanks.
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** Magic numbers of memory-backed file systems (include/uapi/linux/magic.h; statfs(2)). */
const IN_MEMORY: ReadonlySet<number> = new Set([0x0102_1994, 0x8584_58f6]);

const MIB = 1024 * 1024;
/** Compressed size for a small host. */
const MIN = 4 * MIB;
/** Compressed bytes per process and per socket, for two samples; less on large hosts. */
const BYTES_PER_PROCESS = 4096;
const BYTES_PER_SOCKET = 192;

/** Estimated maximum size of a snapshot of this host in bytes. */
export function roomNeeded(source: HostSource): number {
  const processes = listedPids(source).length;
  return MIN + processes * BYTES_PER_PROCESS + sockets(source) * BYTES_PER_SOCKET;
}

function sockets(source: HostSource): number {
  try {
    return Number(/^sockets: used (\d{1,9})$/m.exec(source.readText('/proc/net/sockstat'))?.[1] ?? 0);
  } catch (error) {
    if (isHostError(error)) return 0;
    throw error;
  }
}

/**
 * Rejects a folder that is memory-backed (which would increase memory pressure) or lacks space.
 *
 * @param memoryToo accepts memory-backed file systems
 * @throws {OutputError} `cannot-write`
 */
export function checkRoom(file: string, needed: number, memoryToo: boolean): void {
  const folder = path.dirname(path.resolve(file));
  const { type, bavail, bsize } = statfs(folder);
  if (!memoryToo && IN_MEMORY.has(type))
    throw new OutputError(
      'cannot-write',
      `${folder} is in memory (tmpfs). Name a file on disk, write to stdout (-o -), or add --tmpfs`,
    );
  const free = bavail * bsize;
  if (free < needed)
    throw new OutputError(
      'cannot-write',
      `${folder} has ${Math.floor(free / MIB)} MiB free, but a snapshot of this host may need ${Math.ceil(needed / MIB)} MiB. Name another file, or write to stdout (-o -)`,
    );
}

function statfs(folder: string): { type: number; bavail: number; bsize: number } {
  try {
    return statfsSync(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${folder} cannot be written (${code})`, { cause });
  }
}
