import fs from 'node:fs';
import { basename } from 'node:path';
import { crc32 } from 'node:zlib';
import { errorCode, HostError, StoreError } from './errors.js';

/** Bytes of a ring: ten minutes of the largest records, at the highest rate, have 4 MiB. */
export const RING_BYTES = 8 * 2 ** 20;
/** Maximum length of a record. */
export const MAX_RECORD = 32 * 2 ** 10;
/** Maximum length of a copied record: pmsg has 4 KiB by default, and keeps its newest bytes. */
export const MAX_COPIED = 2 * 2 ** 10 - 64;
/** No ring is larger: a reader holds it in memory. */
const MAX_RING = 16 * 2 ** 20;
/** No recorder writes as many records in a hundred years: with a larger number, those before it would seem lost. */
const MAX_NUMBER = 2 ** 32;

const TITLE = Buffer.from('kdump-mem-ring/1\n');
const FIRST = 64;
/** Bytes that no UTF-8 text contains. */
const MAGIC = Buffer.from([0xff, 0x6b, 0x64, 0x72, 0xfe, 0x6d, 0x65, 0xff]);
/** Maximum number of damaged records before the rest is not read: a ring has some ten thousand in all. */
const MAX_DAMAGED = 2 ** 15;
/** The magic, then the length, the CRC-32 of what follows it, and the number. */
const HEAD = MAGIC.length + 4 + 4 + 8;

/** A record: its text, and where it is. */
interface RingRecord {
  readonly number: number;
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Number of records that were written before it, after the one before it in this list, and are not there. */
  readonly lostBefore: number;
}

export interface RingContents {
  /** In the order in which they were written. */
  readonly records: readonly RingRecord[];
  /** Number of records whose bytes are damaged, or were being written. */
  readonly damaged: number;
}

/** Whether bytes begin as a ring. */
export function isRing(head: Buffer): boolean {
  return head.subarray(0, TITLE.length).equals(TITLE);
}

/**
 * Finds the records of a ring, wherever they begin: no pointer can be wrong. A record that is overwritten in part, or
 * was written in part before a crash, is left out.
 *
 * @param bytes hostile
 * @param first 0: bytes without a title
 */
export function ringRecords(bytes: Buffer, first = FIRST): RingContents {
  const records: Omit<RingRecord, 'lostBefore'>[] = [];
  let damaged = 0;
  // Each magic may claim a checksum of many bytes.
  for (let at = bytes.indexOf(MAGIC, first); at >= 0 && damaged < MAX_DAMAGED; ) {
    const record = recordAt(bytes, at);
    if (record) records.push(record);
    else damaged++;
    at = bytes.indexOf(MAGIC, record?.end ?? at + MAGIC.length);
  }
  return { records: withLosses(records.toSorted((a, b) => a.number - b.number)), damaged };
}

/**
 * Counts the numbers that are missing, whatever damaged them. Behind the last record before the end of the file there may be
 * some of the round before: between these and the others there is no loss.
 */
function withLosses(records: readonly Omit<RingRecord, 'lostBefore'>[]): RingRecord[] {
  let rounds = 0;
  const all = records.toReversed().map((record, index) => {
    const before = records[records.length - index - 2];
    if (before && before.start > record.start) rounds++;
    const lost = before && rounds <= 1 ? record.number - before.number - 1 : 0;
    return { ...record, lostBefore: Math.max(0, lost) };
  });
  return all.reverse();
}

function recordAt(bytes: Buffer, at: number): Omit<RingRecord, 'lostBefore'> | undefined {
  const body = at + MAGIC.length + 8;
  if (at + HEAD > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at + MAGIC.length);
  const end = at + HEAD + length;
  if (length > MAX_RECORD || end > bytes.length) return undefined;
  if (crc32(bytes.subarray(body, end)) !== bytes.readUInt32LE(at + MAGIC.length + 4)) return undefined;
  const number = Number(bytes.readBigUInt64LE(body));
  if (number > MAX_NUMBER) return undefined;
  return { number, text: bytes.toString('utf8', at + HEAD, end), start: at, end };
}

/** A smaller ring: the newest records of one, back to the first that is not wanted. */
export function newestOf(bytes: Buffer, isWanted: (text: string) => boolean): Buffer {
  const kept: Buffer[] = [];
  for (const { text, start, end } of ringRecords(bytes).records.toReversed()) {
    if (!isWanted(text)) break;
    kept.push(bytes.subarray(start, end));
  }
  return Buffer.concat([TITLE, Buffer.alloc(FIRST - TITLE.length), ...kept.toReversed()]);
}

/** A ring that was copied into a capture. */
export interface RingCopy {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A record of pstore's memory for messages of programs, which keeps its newest bytes: `pmsg-ramoops-0`. */
export const PMSG = /^pmsg-[a-z_]+-\d{1,20}$/;

/** @param ring its path, a copy, or a file of pmsg @throws {HostError} `unreadable` */
export function readRing(ring: string | RingCopy): RingContents {
  const file = typeof ring === 'string' ? ring : ring.name;
  const refused = (why: string, cause?: unknown) =>
    new HostError('unreadable', `${file}: ${why}`, { cause, next: 'Name a file of kdump-mem watch --ring.' });
  let bytes: Buffer;
  try {
    if (typeof ring === 'string') {
      const stat = fs.statSync(file);
      if (!stat.isFile() || stat.size > MAX_RING) throw refused('not a ring');
    }
    bytes = typeof ring === 'string' ? fs.readFileSync(file) : ring.bytes;
  } catch (cause) {
    if (cause instanceof HostError) throw cause;
    throw refused(`cannot be read (${errorCode(cause)})`, cause);
  }
  if (isRing(bytes)) return ringRecords(bytes);
  if (!PMSG.test(basename(file))) throw refused('not a ring');
  // Its oldest record begins anywhere, other programs may write to it, and long records are not copied.
  const records = ringRecords(bytes, 0).records.map((record) => ({ ...record, lostBefore: 0 }));
  return { records, damaged: 0 };
}

/**
 * A file of fixed size whose oldest records are overwritten. Its blocks are allocated when it is created, so that a
 * full disk loses nothing. Appending never waits for the disk: the file is flushed in the background.
 */
export class Ring {
  readonly #fd: number;
  #at: number;
  #number: number;
  #isFlushing = false;
  readonly #copy: number | undefined;

  private constructor(fd: number, copy: number | undefined, at: number, number: number) {
    this.#fd = fd;
    this.#copy = copy;
    this.#at = at;
    this.#number = number;
  }

  /**
   * Creates a ring, or continues one behind its newest record.
   *
   * @param copy a device that also receives small records, if it exists
   * @throws {StoreError} it cannot be written, or the file is something else
   */
  static open(file: string, copy?: string): Ring {
    const isNew = !fs.existsSync(file);
    let fd: number;
    try {
      fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW, 0o600);
    } catch (cause) {
      throw new StoreError('cannot-write', `${file}: cannot be opened (${errorCode(cause)})`, { cause });
    }
    try {
      const { size } = fs.fstatSync(fd);
      // A file without a title is one whose creation was interrupted.
      const bytes = Buffer.alloc(RING_BYTES);
      if (size > 0) fs.readSync(fd, bytes, 0, Math.min(size, RING_BYTES), 0);
      if (size > 0 && !isRing(bytes) && !bytes.subarray(0, FIRST).equals(Buffer.alloc(FIRST)))
        throw new StoreError('cannot-write', `${file}: not a ring of kdump-mem watch --ring`);
      if (size === RING_BYTES && isRing(bytes)) {
        const newest = ringRecords(bytes).records.at(-1);
        return new Ring(fd, openedCopy(copy), newest?.end ?? FIRST, (newest?.number ?? 0) + 1);
      }
      writeWhole(fd, Buffer.alloc(RING_BYTES), 0);
      fs.ftruncateSync(fd, RING_BYTES);
      fs.fsyncSync(fd);
      writeWhole(fd, TITLE, 0);
      return new Ring(fd, openedCopy(copy), FIRST, 1);
    } catch (cause) {
      fs.closeSync(fd);
      // What fitted on a full disk is no ring, and would keep it full.
      if (isNew) fs.rmSync(file, { force: true });
      if (cause instanceof StoreError) throw cause;
      throw new StoreError('cannot-write', `${file}: cannot be written (${errorCode(cause)})`, { cause });
    }
  }

  /**
   * @param text at most MAX_RECORD bytes
   * @param short what the copy receives, at most MAX_COPIED bytes; otherwise it receives nothing
   * @throws {RangeError} it is longer; the error of the write
   */
  append(text: string, short = text): void {
    const record = recordOf(text, this.#number);
    if (record.length > HEAD + MAX_RECORD) throw new RangeError('a record that is too long');
    if (this.#at + record.length > RING_BYTES) this.#at = FIRST;
    writeWhole(this.#fd, record, this.#at);
    this.#at += record.length;
    this.#writeCopy(short === text ? record : recordOf(short, this.#number));
    this.#number++;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    fs.fdatasync(this.#fd, () => {
      this.#isFlushing = false;
    });
  }

  #writeCopy(record: Buffer): void {
    if (this.#copy === undefined || record.length > HEAD + MAX_COPIED) return;
    try {
      fs.writeSync(this.#copy, record);
    } catch {
      // The ring has it.
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
    if (this.#copy !== undefined) fs.closeSync(this.#copy);
  }
}

function recordOf(text: string, number: number): Buffer {
  const body = Buffer.from(text);
  const record = Buffer.alloc(HEAD + body.length);
  MAGIC.copy(record);
  record.writeUInt32LE(body.length, MAGIC.length);
  record.writeBigUInt64LE(BigInt(number), MAGIC.length + 8);
  body.copy(record, HEAD);
  record.writeUInt32LE(crc32(record.subarray(MAGIC.length + 8)), MAGIC.length + 4);
  return record;
}

function openedCopy(path: string | undefined): number | undefined {
  try {
    return path === undefined ? undefined : fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_APPEND);
  } catch {
    return undefined;
  }
}

function writeWhole(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(fd, bytes, done, bytes.length - done, at + done);
}
