import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { exhaustionOf, KernelError } from '../../base/errors.js';
import { safePath } from '../../base/shell.js';

/** Bytes: the maximum that crash may write (see GUARDIAN), and one page of memory. */
const ROOM = 33 * 2 ** 20;

/** crash interprets blanks, `@`, ` ` and other characters in commands and file names. */
const PLAIN_PATH = /^\/[\w./-]*$/;

/** A temporary folder for exchanging files with crash. Its path is plain, so crash commands can contain it. */
export class ScratchFolder {
  readonly path: string;

  /** @throws {KernelError} `no-room` if no suitable folder exists */
  constructor() {
    const place = scratchPlace();
    try {
      this.path = fs.mkdtempSync(path.join(place, 'kdump-mem-'));
    } catch (cause) {
      throw asKernelError(cause, `${place}: directory not created`);
    }
  }

  /** Returns the absolute path of a file in the folder: crash may change its working directory. */
  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Creates a fifo and opens it for reading and writing, so that opening does not block. */
  openFifo(name: string): number {
    const file = this.file(name);
    const { error, status, stderr } = spawnSync('mkfifo', ['-m', '600', file], {
      env: { ...process.env, PATH: safePath() },
    });
    if (error !== undefined) throw asKernelError(error, 'mkfifo: start failed');
    if (status !== 0) throw new KernelError('no-room', `${file}: not created (${String(stderr).trim()})`);
    return this.open(file, 'r+');
  }

  /** @throws {KernelError} `exhausted` or `no-room` */
  open(file: string, flags: string): number {
    try {
      return fs.openSync(file, flags, 0o600);
    } catch (cause) {
      throw asKernelError(cause, `${file}: open failed`);
    }
  }

  /** Whether the folder exists and its file system is full. */
  get isFull(): boolean {
    return freeBytes(this.path) === 0;
  }

  /** Whether the folder was removed; crash's guardian removes it when crash exits. */
  get isRemoved(): boolean {
    return !fs.existsSync(this.path);
  }

  remove(): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

/** Converts a system error from starting crash into a KernelError. */
export function asKernelError(cause: unknown, action: string): KernelError {
  if (cause instanceof KernelError) return cause;
  const exhausted = exhaustionOf(cause);
  if (exhausted !== undefined) return new KernelError('exhausted', `${action}: ${exhausted}`, { cause });
  const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new KernelError('no-room', `${action} (${code})`, { cause });
}

/**
 * Returns a writable folder with a plain path, preferably memory-backed, since every page that is read passes
 * through a file; but not a small one that is almost full (containers give /dev/shm 64 MiB).
 */
function scratchPlace(): string {
  const all = [...new Set(['/dev/shm', os.tmpdir(), '/tmp', '/var/tmp'])];
  const places = all.filter((place) => PLAIN_PATH.test(place) && isWritable(place));
  const best = places.find((place) => freeBytes(place) >= ROOM) ?? places[0];
  if (best !== undefined) return best;
  throw new KernelError('no-room', `no writable directory for the files of crash (${all.join(', ')})`);
}

function isWritable(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Bytes available on the file system of a folder; Infinity if unknown. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize, blocks } = fs.statfsSync(folder);
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
