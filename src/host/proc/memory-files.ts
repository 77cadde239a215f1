import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { isSea } from 'node:sea';
import { runInThisContext } from 'node:vm';
import { attempt, HostError } from '../../base/errors.js';
import { asExhausted, endGroup, READER_VARIABLE, startGroup } from '../child.js';
import type { FileFacts } from '../host-source.js';
import { statFields } from './process.js';

/** The beginning of a file. */
export interface Piece {
  readonly bytes: Buffer;
  /** Whether the file is longer. */
  readonly cut: boolean;
}

const HEADER_BYTES = 32;

/**
 * Program of a reader process. It writes an empty header when it has started. For each line of stdin, `MOST FROM PATH`, it
 * writes a header (`CODE CUT LENGTH`, padded) and that many bytes of the file, or its facts if FROM is negative; CODE is `-`
 * or an error code. It exits at the end of stdin.
 */
const READER = `
const fs = process.getBuiltinModule('node:fs');
// A reader that waits for a CPU while it holds the lock makes the process wait too.
try {
  process.getBuiltinModule('node:os').setPriority(0);
} catch {}
function take(path, most, from) {
  if (from < 0) {
    const { dev, ino, blocks } = fs.statSync(path);
    return Buffer.from([dev, ino, blocks, fs.statfsSync(path).type].join(' '));
  }
  const fd = fs.openSync(path, 'r');
  try {
    const pieces = [];
    let filled = 0;
    // pagemap returns only entire entries.
    const end = from ? most : most + 1;
    for (let got = 1; got > 0 && filled < end; filled += got) {
      const piece = Buffer.allocUnsafe(Math.min(65536, end - filled));
      got = fs.readSync(fd, piece, 0, piece.length, from ? from + filled : null);
      pieces.push(piece.subarray(0, got));
    }
    return Buffer.concat(pieces);
  } finally {
    fs.closeSync(fd);
  }
}
function answer(line) {
  const [most, from] = line.split(' ', 2).map(Number);
  const path = line.slice(line.indexOf(' ', line.indexOf(' ') + 1) + 1);
  let bytes = Buffer.alloc(0);
  let code = '-';
  try {
    bytes = take(path, most, from);
  } catch (error) {
    code = error.code || 'EIO';
  }
  const body = bytes.subarray(0, most);
  const header = [code, Number(bytes.length > most), body.length].join(' ').padEnd(${HEADER_BYTES});
  const all = Buffer.concat([Buffer.from(header), body]);
  for (let done = 0; done < all.length; ) done += fs.writeSync(1, all, done);
}
fs.writeSync(1, ' '.repeat(${HEADER_BYTES}));
const input = Buffer.alloc(65536);
let text = '';
for (let got = 1; got > 0; ) {
  got = fs.readSync(0, input, 0, input.length, null);
  const lines = (text + input.toString('latin1', 0, got)).split('\\n');
  text = lines.pop();
  lines.forEach(answer);
}
process.exit(0);
`;

/** Interval between checks of a reader. Milliseconds. */
const CHECK_MS = 100;
/**
 * Time without progress until a read counts as blocked: the fork of a large process also holds the
 * mmap_lock for a while.
 */
const STALL_MS = 2000;
/** A reader that has not started reads nothing: its program may still be read from a slow disk. Times the time above. */
const START_FACTOR = 10;
/** Each process that blocks a read halves the time allowed for the next, down to this minimum. */
const MIN_STALL_MS = 200;
/** Time during which a process that blocked a read is not read again. */
const AVOID_MS = 10_000;
/** Time that an idle reader stays alive. */
const IDLE_MS = 100;

interface Request {
  readonly path: string;
  readonly limit: number;
  readonly from: number;
  readonly resolve: (piece: Piece) => void;
  readonly reject: (error: unknown) => void;
}

type ReaderEnd = 'blocked' | 'idle' | Error;

/**
 * Reads files of /proc/PID that the kernel generates under the process's mmap_lock: smaps, smaps_rollup,
 * maps, cmdline, environ, numa_maps (fs/proc/task_mmu.c, __access_remote_vm() in mm/memory.c).
 *
 * While another task holds that lock, such a read sleeps and cannot be cancelled, and Node does not exit
 * before its threads do. Therefore a child process reads. If a read makes no progress, the child is killed,
 * that request fails, and another child handles the rest.
 */
export class MemoryFiles {
  #reader: Reader | undefined;
  /** By folder (`/proc/PID`): time at which it blocked a read, and the child that read it. */
  readonly #blocked = new Map<string, { readonly at: number; readonly child: ChildProcess }>();

  /**
   * Reads the first `limit` bytes of a file, or those at `from`.
   *
   * @throws {HostError} `gone`, `denied`, `unreadable`, `blocked`: the read makes no progress; {@link
   * ExhaustedError}
   */
  read(path: string, limit: number, from = 0): Promise<Piece> {
    return new Promise((resolve, reject) => this.#send({ path, limit, from, resolve, reject }));
  }

  /** Identity, size and file system type (statfs(2)) of a file, such as one of /proc/PID/map_files. @throws as read */
  async facts(path: string): Promise<FileFacts & { readonly type: number }> {
    const { bytes } = await this.read(path, HEADER_BYTES * 4, -1);
    const [device = 0, inode = 0, blocks = 0, type = 0] = bytes.toString('latin1').split(' ').map(Number);
    return { device, inode, bytes: blocks * 512, isFile: true, isFolder: false, type };
  }

  #send(request: Request): void {
    if (this.#avoids(request.path)) {
      request.reject(noAnswer(request.path));
      return;
    }
    try {
      this.#reader ??= new Reader(
        () => Math.max(MIN_STALL_MS, STALL_MS / 2 ** this.#blocked.size),
        (reader, end) => this.#ended(reader, end),
      );
      this.#reader.send(request);
    } catch (error) {
      request.reject(error);
    }
  }

  #avoids(path: string): boolean {
    // Before Linux 5.3 the sleep is not killable: each sample would leave another child behind.
    for (const [folder, { at, child }] of this.#blocked)
      if (performance.now() - at > AVOID_MS && hasExited(child)) this.#blocked.delete(folder);
    return this.#blocked.has(folderOf(path));
  }

  #ended(reader: Reader, end: ReaderEnd): void {
    if (this.#reader === reader) this.#reader = undefined;
    const [first, ...rest] = reader.requests;
    if (!first) return;
    if (end === 'blocked') {
      this.#blocked.set(folderOf(first.path), { at: performance.now(), child: reader.child });
      first.reject(noAnswer(first.path));
    } else first.reject(end);
    for (const request of rest) this.#send(request);
  }
}

/** One reader process. */
class Reader {
  readonly child: ChildProcess;
  /** Pending requests, in order. */
  readonly requests: Request[] = [];
  readonly #stallLimit: () => number;
  readonly #onEnd: (reader: Reader, end: ReaderEnd) => void;
  readonly #checks: NodeJS.Timeout;
  #pieces: Buffer[] = [];
  #received = 0;
  #header: Header | undefined;
  #hasStarted = false;
  #progress = '';
  #progressAt = performance.now();
  /**
   * Duration without progress, summed over checks: on an overloaded machine with late checks, each
   * counts as one interval.
   */
  #stalledMs = 0;
  #ended = false;

  /** @throws {ExhaustedError} */
  constructor(patience: () => number, onEnd: (reader: Reader, end: ReaderEnd) => void) {
    this.#stallLimit = patience;
    this.#onEnd = onEnd;
    this.child = startGroup(process.execPath, isSea() ? [] : ['-e', READER], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // A single executable application accepts neither -e nor, since Node 24, --import.
      env: { ...process.env, NODE_OPTIONS: '', [READER_VARIABLE]: isSea() ? '1' : '' },
      cwd: '/',
    });
    const failed = (why: string, cause?: unknown) =>
      this.#end(
        asExhausted('the reader of /proc', cause) ??
          new HostError('unreadable', `the process that reads /proc ${why}`, { cause }),
      );
    this.child.on('error', (cause) => failed('did not start', cause));
    this.child.on('exit', (status, signal) => failed(`exited (${signal ?? status})`));
    this.child.stdin?.on('error', () => undefined);
    this.child.stdout?.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#checks = setInterval(() => this.#check(), CHECK_MS);
  }

  send(request: Request): void {
    if (this.requests.length === 0) this.#setReferenced(true);
    this.requests.push(request);
    this.child.stdin?.write(`${request.limit} ${request.from} ${request.path}\n`, 'latin1');
  }

  #take(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.#received += bytes.length;
    while (!this.#ended && this.#received >= (this.#header?.length ?? HEADER_BYTES)) {
      const all = Buffer.concat(this.#pieces);
      const length = this.#header?.length ?? HEADER_BYTES;
      const [piece, rest] = [all.subarray(0, length), all.subarray(length)];
      [this.#pieces, this.#received] = [[rest], rest.length];
      if (!this.#hasStarted) [this.#hasStarted, this.#stalledMs] = [true, 0];
      else if (this.#header) this.#answer(this.#header, piece);
      else this.#header = headerOf(piece);
    }
  }

  #answer({ code, cut }: Header, bytes: Buffer): void {
    this.#header = undefined;
    const request = this.requests.shift();
    if (this.requests.length === 0) this.#setReferenced(false);
    if (!request) return;
    try {
      request.resolve(
        attempt(request.path, () => {
          if (code !== '-') throw Object.assign(new Error(code), { code });
          return { bytes, cut };
        }),
      );
    } catch (error) {
      request.reject(error);
    }
  }

  /** Sets whether the reader keeps this process alive. */
  #setReferenced(holds: boolean): void {
    [this.#progressAt, this.#stalledMs] = [performance.now(), 0];
    for (const emitter of [this.child, this.child.stdin, this.child.stdout, this.#checks])
      (emitter as ChildProcess | Socket | NodeJS.Timeout | null)?.[holds ? 'ref' : 'unref']();
  }

  #check(): void {
    const now = performance.now();
    if (this.requests.length === 0) {
      if (now - this.#progressAt > IDLE_MS) this.#end('idle');
      return;
    }
    const progress = `${this.requests.length} ${this.#received} ${cpuTicks(this.child.pid)}`;
    if (progress === this.#progress && !progress.endsWith('R')) {
      this.#stalledMs += CHECK_MS;
      if (this.#stalledMs > this.#stallLimit() * (this.#hasStarted ? 1 : START_FACTOR)) this.#end('blocked');
    } else [this.#progress, this.#progressAt, this.#stalledMs] = [progress, now, 0];
  }

  #end(end: ReaderEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#checks);
    endGroup(this.child);
    this.child.stdin?.destroy();
    this.child.unref();
    this.#onEnd(this, end);
  }
}

interface Header {
  readonly code: string;
  readonly cut: boolean;
  readonly length: number;
}

function headerOf(bytes: Buffer): Header {
  const [code = '', cut, length] = bytes.toString('latin1').trim().split(' ');
  return { code, cut: cut === '1', length: Number(length) };
}

/** CPU time and state of the reader: a process that computes, or waits for a CPU, is not blocked. */
function cpuTicks(pid: number | undefined): string {
  try {
    const fields = statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return `${fields[11]} ${fields[12]} ${fields[0]}`;
  } catch {
    return '';
  }
}

/** Becomes a reader process: what a program with {@link READER_VARIABLE} does instead of its own work. */
export function runReader(): void {
  runInThisContext(READER);
}

/** Returns `/proc/PID`, or the path if it has another form. */
function folderOf(path: string): string {
  return /^\/proc\/\d+/.exec(path)?.[0] ?? path;
}

function noAnswer(path: string): HostError {
  return new HostError('blocked', `${path}: the read is blocked (mmap_lock held)`);
}

function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
