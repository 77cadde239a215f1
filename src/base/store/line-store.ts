import fs from 'node:fs';
import { StoreError } from '../errors/store.js';
import { rotate } from './rotated.js';

export interface StoreLimits {
  /** Bytes after which a new file is begun. */
  readonly rotate: number;
  /** How many older files are kept; 1 or more. */
  readonly keep: number;
}

const NEWLINE = 0x0a;

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** A symbolic link is not followed (ELOOP), and a pipe without a writer not waited for. */
const FLAGS = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

const NO_FILE = 'not a regular file';

/** Why lines are not added to a file: it names processes of all users, and is for its owner alone. */
function problemOf(found: fs.Stats): string | null {
  if (!found.isFile()) return NO_FILE;
  if (found.uid !== process.geteuid?.()) return `owned by another user (uid ${found.uid})`;
  if (found.nlink > 1) return 'has more than one hard link';
  const mode = found.mode & 0o777;
  if ((mode & 0o077) !== 0)
    return `accessible to other users (mode ${mode.toString(8)}, must be 600)`;
  return null;
}

/**
 * A file that lines are added to, each whole or not at all: what a full disk cuts off is taken back. A line that
 * was torn by who wrote before (it was killed, the machine crashed) stays, and the next begins behind it. Disk space
 * is bounded: a file that is full is renamed (`FILE.1`, then `FILE.2`), the oldest removed.
 */
export class LineStore {
  #fd: number;
  /** Bytes that are ours, or were there. */
  #size: number;
  #torn: boolean;

  /**
   * @param head what each file of this store begins with: no other is written into
   * @throws {StoreError} `cannot-write`
   */
  constructor(
    readonly file: string,
    readonly limits: StoreLimits,
    readonly head = '',
  ) {
    [this.#fd, this.#size, this.#torn] = this.#open();
  }

  /**
   * @param line without its newline, and with none within
   * @throws {StoreError}: nothing of it is stored
   */
  append(line: string): void {
    this.#checkOurs();
    if (this.#size > 0 && this.#size + Buffer.byteLength(line) + 2 > this.limits.rotate)
      this.#rotate();
    const bytes = Buffer.from(`${this.#torn ? '\n' : ''}${line}\n`);
    this.#refused(() => {
      try {
        for (let done = 0; done < bytes.length; )
          done += fs.writeSync(this.#fd, bytes, done, bytes.length - done);
      } catch (error) {
        fs.ftruncateSync(this.#fd, this.#size);
        throw error;
      }
    });
    this.#size += bytes.length;
    this.#torn = false;
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  /** Another one may have written, renamed or removed the file: nobody’s lines are cut or mixed with ours. */
  #checkOurs(): void {
    const { size, ino, dev } = this.#refused(() => fs.fstatSync(this.#fd));
    const named = this.#refused(() => fs.lstatSync(this.file, { throwIfNoEntry: false }));
    if (named?.ino !== ino || named.dev !== dev) {
      // What has rotated it began a new one.
      const opened = this.#open();
      fs.closeSync(this.#fd);
      [this.#fd, this.#size, this.#torn] = opened;
    } else if (size !== this.#size) {
      const grown = size - this.#size;
      this.#size = size;
      this.#torn = this.#isTorn(this.#fd, size);
      throw new StoreError(
        'other-writer',
        `${this.file}: another program writes to it (${Math.abs(grown)} bytes ${grown > 0 ? 'more' : 'fewer'} than expected)`,
      );
    }
  }

  #rotate(): void {
    this.#refused(() => rotate(this.file, this.limits.keep));
    const opened = this.#open();
    fs.closeSync(this.#fd);
    [this.#fd, this.#size, this.#torn] = opened;
  }

  #open(): [number, number, boolean] {
    return this.#refused(() => {
      const there = fs.lstatSync(this.file, { throwIfNoEntry: false });
      if (there?.isDirectory()) throw new StoreError('cannot-write', `${this.file}: ${NO_FILE}`);
      const fd = fs.openSync(this.file, FLAGS, 0o600);
      try {
        const found = fs.fstatSync(fd);
        const problem = problemOf(found) ?? this.#strange(fd);
        if (problem !== null) throw new StoreError('cannot-write', `${this.file}: ${problem}`);
        return [fd, found.size, this.#isTorn(fd, found.size)];
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    });
  }

  #strange(fd: number): string | null {
    const bytes = Buffer.alloc(Buffer.byteLength(this.head));
    const begins = bytes.toString('latin1', 0, fs.readSync(fd, bytes, 0, bytes.length, 0));
    return this.head.startsWith(begins)
      ? null
      : `not a store of this command (first line is not ${this.head})`;
  }

  #isTorn(fd: number, size: number): boolean {
    if (size === 0) return false;
    const last = Buffer.alloc(1);
    fs.readSync(fd, last, 0, 1, size - 1);
    return last[0] !== NEWLINE;
  }

  #refused<Result>(step: () => Result): Result {
    try {
      return step();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (cause instanceof StoreError || typeof code !== 'string') throw cause;
      throw new StoreError('cannot-write', `${this.file}: write failed (${code})`, { cause });
    }
  }
}
