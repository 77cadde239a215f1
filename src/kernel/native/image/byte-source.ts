import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { errorCode, KernelError, type KernelErrorCode, openError, ReadError } from '../../../base/errors.js';

/** Consecutive bytes of an open file. */
export interface FilePlace {
  readonly descriptor: number;
  readonly offset: number;
  readonly length: number;
}

/** Random-access bytes: a file, or a file within another format. */
export interface ByteSource {
  /** The path, for messages. */
  readonly name: string;
  /** Bytes; Infinity if the size is meaningless (/proc/kcore). */
  readonly size: number;
  /** Container format, such as `flattened`; absent for a plain file. */
  readonly wrapping?: string;
  /** Whether the container is truncated: missing bytes are lost, not a hole of zeros. */
  readonly cut?: boolean;
  /** File descriptor, if the bytes are those of a file. */
  readonly descriptor?: number;
  /**
   * Reads `length` bytes at `position` into the start of `target`.
   *
   * @returns the number of bytes read: fewer than `length` only where the source ends or a read fails.
   */
  pread(target: Uint8Array, length: number, position: number | bigint): number;
  /** Where bytes from a position on are in a file, as many as are consecutive; undefined: nowhere. */
  placeOf(position: number): FilePlace | undefined;
  close(): void;
}

/** A read may end at 2^63 - 1 at most; 1 GiB less leaves room for any length. */
const LAST_POSITION = 2n ** 63n - 2n ** 30n;
const REFUSALS: ReadonlySet<string> = new Set(['EIO', 'EFAULT', 'EINVAL', 'EPERM', 'ENXIO']);

export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  #fd: number;

  /**
   * @param unfit the error code for anything that is not a regular file
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

  get descriptor(): number {
    return this.#fd;
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
        // A bad sector, or memory that /proc/kcore does not return: the rest of the range is unavailable.
        if (REFUSALS.has(errorCode(error))) return done;
        throw error;
      }
      if (read === 0) return done;
      done += read;
    }
    return done;
  }

  placeOf(position: number): FilePlace | undefined {
    return position < this.size ? { descriptor: this.#fd, offset: position, length: this.size - position } : undefined;
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Whether a path resolves to /proc/kcore (/dev/core is a symlink to it). */
export function isKcorePath(path: string): boolean {
  // Node's own implementation resolves each folder by name, which fails for names that are not UTF-8.
  return realpathSync.native(path) === KCORE;
}

const KCORE = '/proc/kcore';

/** The anomaly reported for a truncated source. */
export const CUT_STREAM = 'truncated (the flattened stream has no end mark)';

/** Returns `, flattened` for a description, or an empty string. */
export function wrappingOf({ wrapping }: ByteSource): string {
  return wrapping === undefined ? '' : `, ${wrapping}`;
}

/** Reads a header into its own buffer, shortened where the source ends. */
export function readHead(source: ByteSource, position: number, length: number): DataView {
  const wanted = Math.max(0, Math.min(length, source.size - position));
  const bytes = new Uint8Array(wanted);
  return new DataView(bytes.buffer, 0, source.pread(bytes, wanted, position));
}

/** Descriptors of unpacked dumps by the path of the packed file. */
const unpacked = new Map<string, number>();

/** Makes later reads of a compressed file read its unpacked bytes. The descriptor stays open until the process exits. */
export function readUnpacked(path: string, descriptor: number): void {
  unpacked.set(path, descriptor);
}

/** Whether the unpacked bytes of a file are known. */
export const isUnpacked = (path: string): boolean => unpacked.has(path);

/** Returns the path of a file's bytes, unpacked if it is compressed, also for other processes of this user. */
export function bytesPath(path: string): string {
  const descriptor = unpacked.get(path);
  return descriptor === undefined ? path : `/proc/${process.pid}/fd/${descriptor}`;
}

function open(path: string, unfit: KernelErrorCode): number {
  try {
    // O_NONBLOCK: opening a fifo does not wait for a writer.
    return openSync(bytesPath(path), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (path === KCORE && errorCode(cause) === 'ENOENT')
      throw new KernelError('no-live-memory', `${KCORE}: not found`, { cause });
    throw openError(path, cause, unfit);
  }
}

/** Maximum bytes of one read: a corrupt length must not exhaust memory. */
export const LONGEST_READ = 256 * 1024 * 1024;

/** @throws {ReadError} `refused` if the length exceeds the maximum */
export function checkLength(address: number | bigint, length: number): void {
  if (length <= LONGEST_READ) return;
  throw lengthError(BigInt(address), length);
}

/** The error for a read that is too long, or has an invalid length. */
export function lengthError(address: bigint, length: number): ReadError {
  const detail = `read of ${length} bytes, over the limit of ${LONGEST_READ}`;
  return new ReadError('refused', address, detail);
}
