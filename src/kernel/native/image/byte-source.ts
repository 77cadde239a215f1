import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { KernelError, type KernelErrorCode } from '../../../base/errors/kernel.js';

/** Bytes that can be read at any position: a file, or a file inside another format. */
export interface ByteSource {
  /** The path, for messages. */
  readonly name: string;
  /** Bytes; Infinity where the size means nothing (/proc/kcore). */
  readonly size: number;
  /** What the bytes are wrapped in, such as `flattened`; absent for a plain file. */
  readonly wrapping?: string;
  /** The wrapping was cut: what is missing inside of it is lost, not a hole of zeros. */
  readonly cut?: boolean;
  /**
   * Reads `length` bytes at `position` into the start of `target`.
   *
   * @returns the bytes read: fewer than `length` only where the source ends or refuses.
   */
  pread(target: Uint8Array, length: number, position: number | bigint): number;
  close(): void;
}

/** A read may end at 2^63 - 1 at most; 1 GiB less leaves room for any length. */
const LAST_POSITION = 2n ** 63n - 2n ** 30n;
const REFUSALS: ReadonlySet<string> = new Set(['EIO', 'EFAULT', 'EINVAL', 'EPERM', 'ENXIO']);

/** A file on disk, or /proc/kcore. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  #fd: number;

  /**
   * @param unfit the code for what is not a file at all
   * @throws {KernelError} `no-such-file`, `permission` or `unfit`
   */
  constructor(path: string, unfit: KernelErrorCode = 'not-a-dump') {
    this.name = path;
    this.#fd = open(path, unfit);
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw new KernelError(unfit, `${path}: not a regular file`);
    }
    this.size = isKcorePath(path) ? Number.POSITIVE_INFINITY : stat.size;
  }

  pread(target: Uint8Array, length: number, position: number | bigint): number {
    let done = 0;
    if (position > this.size || position > LAST_POSITION) return 0;
    while (done < length) {
      const at = typeof position === 'bigint' ? position + BigInt(done) : position + done;
      let read: number;
      try {
        read = readSync(this.#fd, target, done, length - done, at);
      } catch (error) {
        // A bad sector, or memory that /proc/kcore refuses: the rest of the range is not to be had.
        if (REFUSALS.has(errorCode(error))) return done;
        throw error;
      }
      if (read === 0) return done;
      done += read;
    }
    return done;
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Whether a path leads to the running kernel's memory (/dev/core is a link to it). */
export function isKcorePath(path: string): boolean {
  // Node's own way looks at each folder by its name, which there is none for that is not UTF-8.
  return realpathSync.native(path) === KCORE;
}

const KCORE = '/proc/kcore';

/** The anomaly of a source that was cut. */
export const CUT_STREAM = 'truncated (the flattened stream has no end mark)';

/** `, flattened` for a description, or nothing. */
export function wrappingOf({ wrapping }: ByteSource): string {
  return wrapping === undefined ? '' : `, ${wrapping}`;
}

/** Reads a header: a buffer of its own, cut where the source ends. */
export function readHead(source: ByteSource, position: number, length: number): DataView {
  const wanted = Math.max(0, Math.min(length, source.size - position));
  const bytes = new Uint8Array(wanted);
  return new DataView(bytes.buffer, 0, source.pread(bytes, wanted, position));
}

function open(path: string, unfit: KernelErrorCode): number {
  try {
    // Without waiting for somebody to write to a fifo.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' && path === KCORE) {
      throw new KernelError('no-live-memory', `${KCORE}: not found`, { cause });
    }
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new KernelError('no-such-file', `${path}: not found`, { cause });
    }
    if (code === 'EACCES' || code === 'EPERM') {
      throw new KernelError('permission', `${path}: permission denied`, { cause });
    }
    throw new KernelError(unfit, `${path}: open failed (${code})`, { cause });
  }
}

/** The `code` of a system error (`ENOENT`), or its text. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
