import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { KernelError } from '../../base/errors/kernel.js';
import { exhaustionOf } from '../../base/exhaustion.js';
import { safePath } from '../../base/program-path.js';

/** Bytes: all that crash may write (see GUARDIAN), and a page of memory at a time. */
const ROOM = 33 * 2 ** 20;

/** crash reads meaning into blanks, `@`, `|` and other signs in a command or a file's name. */
const PLAIN_PATH = /^\/[\w./-]*$/;

/** A folder of ours that crash and we exchange files in. Its path is plain: crash may be told it. */
export class ScratchFolder {
  readonly path: string;

  /** @throws {KernelError} `no-room` if there is no place for one */
  constructor() {
    const place = scratchPlace();
    try {
      this.path = fs.mkdtempSync(path.join(place, 'kdump-mem-'));
    } catch (cause) {
      throw asKernelError(cause, `${place}: directory not created`);
    }
  }

  /** The absolute path of a file in it: crash may not stand in the folder that we started it in. */
  file(name: string): string {
    return path.join(this.path, name);
  }

  /** Makes a fifo and opens it, for reading too, so that opening does not wait for a reader. */
  openFifo(name: string): number {
    const file = this.file(name);
    const { error, status, stderr } = spawnSync('mkfifo', ['-m', '600', file], {
      env: { ...process.env, PATH: safePath() },
    });
    if (error !== undefined) throw asKernelError(error, 'mkfifo: start failed');
    if (status !== 0)
      throw new KernelError('no-room', `${file}: not created (${String(stderr).trim()})`);
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

  /** Whether it is there and nothing more can be written to it. */
  get isFull(): boolean {
    return freeBytes(this.path) === 0;
  }

  /** Whether it was removed: crash's guardian does that when crash has ended. */
  get isGone(): boolean {
    return !fs.existsSync(this.path);
  }

  remove(): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

/** Why the system would not let us start crash. */
export function asKernelError(cause: unknown, what: string): KernelError {
  if (cause instanceof KernelError) return cause;
  const exhausted = exhaustionOf(cause);
  if (exhausted !== undefined)
    return new KernelError('exhausted', `${what}: ${exhausted}`, { cause });
  const code = cause instanceof Error && 'code' in cause ? cause.code : cause;
  return new KernelError('no-room', `${what} (${code})`, { cause });
}

/**
 * A folder that can be written to and has a plain path. Memory-backed where there is one, since every
 * page that is read passes through a file; but not a small one that is almost full (containers give
 * /dev/shm 64 MiB).
 */
function scratchPlace(): string {
  const all = [...new Set(['/dev/shm', os.tmpdir(), '/tmp', '/var/tmp'])];
  const places = all.filter((place) => PLAIN_PATH.test(place) && isWritable(place));
  const best = places.find((place) => freeBytes(place) >= ROOM) ?? places[0];
  if (best !== undefined) return best;
  throw new KernelError(
    'no-room',
    `no writable directory for the files of crash (${all.join(', ')})`,
  );
}

function isWritable(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Bytes free for us on the file system of a folder; Infinity where it does not say. */
function freeBytes(folder: string): number {
  try {
    const { bavail, bsize, blocks } = fs.statfsSync(folder);
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
