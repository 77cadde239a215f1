import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { StoreError } from './errors.js';

export interface StoreLimits {
  /** Size in bytes at which a new file is started. */
  readonly rotate: number;
  /** Number of older files to keep; 1 or more. */
  readonly keep: number;
}

const NEWLINE = 0x0a;

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** Does not follow a symbolic link (ELOOP), nor wait for a writer of a pipe. */
const FLAGS = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;

const NO_FILE = 'not a regular file';

const OPEN = 'accessible to other users';

/** Why a file must not be appended to: it names processes of all users, so only its owner may read it. */
function problemOf(stats: fs.Stats): string | null {
  if (!stats.isFile()) return NO_FILE;
  if (stats.uid !== process.geteuid?.()) return `owned by another user (uid ${stats.uid})`;
  if (stats.nlink > 1) return 'has more than one hard link';
  const mode = stats.mode & 0o777;
  if ((mode & 0o077) !== 0) return `${OPEN} (mode ${mode.toString(8)}, must be 600)`;
  return null;
}

/**
 * A file to which lines are appended atomically: a partial write on a full disk is undone. A line torn
 * by an earlier writer (killed, or machine crash) stays, and the next line starts after it. Disk space
 * is bounded: a full file is renamed (`FILE.1`, then `FILE.2`), and the oldest removed.
 */
export class LineStore {
  #fd: number;
  /** Size of the file: existing bytes plus those appended. */
  #size: number;
  #torn: boolean;

  /**
   * @param head first line of each file of this store: a file with another one is not written
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
   * @param line without newlines
   * @throws {StoreError}: nothing of it is stored
   */
  append(line: string): void {
    this.#checkOurs();
    if (this.#size > 0 && this.#size + Buffer.byteLength(line) + 2 > this.limits.rotate) this.#rotate();
    const bytes = Buffer.from(`${this.#torn ? '\n' : ''}${line}\n`);
    this.#refused(() => {
      try {
        for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.#fd, bytes, done, bytes.length - done);
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

  /** Another process may have written, renamed or removed the file: lines of different writers must not mix. */
  #checkOurs(): void {
    const { size, ino, dev } = this.#refused(() => fs.fstatSync(this.#fd));
    const named = this.#refused(() => fs.lstatSync(this.file, { throwIfNoEntry: false }));
    if (named?.ino !== ino || named.dev !== dev) {
      // The process that rotated it created a new one.
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
      const stat = fs.lstatSync(this.file, { throwIfNoEntry: false });
      if (stat?.isDirectory()) throw new StoreError('cannot-write', `${this.file}: ${NO_FILE}`);
      const fd = fs.openSync(this.file, FLAGS, 0o600);
      try {
        const stats = fs.fstatSync(fd);
        const problem = problemOf(stats) ?? this.#unexpected(fd);
        const advice = problem?.startsWith(OPEN)
          ? { next: 'If its contents can be trusted, run chmod 600 on it.' }
          : {};
        if (problem !== null) throw new StoreError('cannot-write', `${this.file}: ${problem}`, advice);
        return [fd, stats.size, this.#isTorn(fd, stats.size)];
      } catch (error) {
        fs.closeSync(fd);
        throw error;
      }
    });
  }

  #unexpected(fd: number): string | null {
    const bytes = Buffer.alloc(Buffer.byteLength(this.head));
    const begins = bytes.toString('latin1', 0, fs.readSync(fd, bytes, 0, bytes.length, 0));
    return this.head.startsWith(begins) ? null : `not a store of this command (first line is not ${this.head})`;
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

/** Upper bound on the number of kept files. */
export const MAX_KEPT = 1000;

/** Returns the name of a file after `age` rotations. */
export function rotatedName(file: string, age: number): string {
  return age === 0 ? file : `${file}.${age}`;
}

/** Existing files of a store, oldest first. */
export function storeFiles(file: string): string[] {
  const older = agesOf(file).map((age) => rotatedName(file, age));
  return isThere(file) ? [...older, file] : older;
}

/** Rotates existing files to free the name; at most `limit` remain. */
function rotate(file: string, limit: number): void {
  const ages = agesOf(file);
  for (const age of ages) if (age > limit) fs.rmSync(rotatedName(file, age), { force: true });
  // A program killed during rotation has left a gap.
  let free = 1;
  while (free <= limit && ages.includes(free)) free++;
  if (free > limit) fs.rmSync(rotatedName(file, limit), { force: true });
  for (let age = Math.min(free, limit) - 1; age >= 0; age--)
    fs.renameSync(rotatedName(file, age), rotatedName(file, age + 1));
}

/** Ages of rotated files, oldest first. */
function agesOf(file: string): number[] {
  const ages: number[] = [];
  for (let age = MAX_KEPT; age >= 1; age--) if (isThere(rotatedName(file, age))) ages.push(age);
  return ages;
}

function isThere(name: string): boolean {
  return fs.statSync(name, { throwIfNoEntry: false })?.isFile() === true;
}

/** Maximum number of times that a stale lock is removed while other processes create theirs. */
const MAX_TRIES = 10;

/**
 * Ensures a single writer per store: a Unix socket `.NAME.lock` next to the file. A process without
 * write permission for the folder cannot hold the lock, and a socket without a listener belongs to a
 * killed process. Works across network and pid namespaces.
 *
 * @returns a function that releases the lock
 * @throws {StoreError} `locked`: another process holds it; `cannot-write`: no lock can be created there
 */
export async function lockStore(file: string): Promise<() => void> {
  const name = `.${path.basename(file)}.lock`;
  let folder: number | undefined;
  let server: Server | undefined;
  try {
    folder = fs.openSync(path.dirname(file), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    // A socket address has only 107 bytes, less than a path.
    const place = `/proc/self/fd/${folder}`;
    const [lock, own] = [`${place}/${name}`, `${place}/.kdump-mem-${randomUUID()}.lock`];
    server = createServer((socket) => socket.destroy());
    // Does not keep the process alive.
    server.unref();
    server.listen({ path: own });
    await once(server, 'listening');
    fs.chmodSync(own, 0o600);
    try {
      for (let tries = 1; !linked(own, lock); tries++) {
        if (tries > MAX_TRIES || (await isHeld(lock)))
          throw new StoreError('locked', `${file}: in use by another kdump-mem watch`);
      }
    } finally {
      fs.rmSync(own, { force: true });
    }
    return release(server, folder, lock);
  } catch (cause) {
    server?.close();
    if (folder !== undefined) fs.closeSync(folder);
    const { code } = cause as NodeJS.ErrnoException;
    if (cause instanceof StoreError || typeof code !== 'string') throw cause;
    throw new StoreError('cannot-write', `${file}: ${server ? 'lock' : 'write'} failed (${code})`, { cause });
  }
}

/** Gives the lock its name, unless another process holds it. */
function linked(own: string, lock: string): boolean {
  try {
    fs.linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whether a process holds the lock. A lock without a listener, or of another user, is removed. */
async function isHeld(lock: string): Promise<boolean> {
  const stats = fs.lstatSync(lock, { throwIfNoEntry: false });
  if (!stats) return false;
  if (isTrusted(stats.uid) && (await answers(lock))) return true;
  const aside = `${lock}.${randomUUID()}`;
  fs.renameSync(lock, aside);
  // Another process may have removed it meanwhile, and created its own.
  const { ino } = fs.lstatSync(aside);
  if (ino !== stats.ino) linked(aside, lock);
  fs.rmSync(aside);
  return ino !== stats.ino;
}

/** In a world-writable folder such as /tmp, another user's lock is ignored. */
function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

async function answers(lock: string): Promise<boolean> {
  const socket = connect({ path: lock });
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'ECONNREFUSED' && code !== 'ENOENT' && code !== 'ENOTSOCK';
  } finally {
    socket.destroy();
  }
}

function release(server: Server, folder: number, lock: string): () => void {
  const { ino } = fs.lstatSync(lock);
  const unlock = () => {
    process.off('exit', unlock);
    if (fs.lstatSync(lock, { throwIfNoEntry: false })?.ino === ino) fs.rmSync(lock);
    server.close();
    fs.closeSync(folder);
  };
  process.on('exit', unlock);
  return unlock;
}
