import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { KdumpMemError } from './errors.js';

/** Why a file could not be written: it exists and must not be replaced, or the file system returned an error. */
export class OutputError extends KdumpMemError<'exists' | 'cannot-write'> {}

/**
 * Checks whether a file can be written, before there is anything to write.
 *
 * @param replace an existing file may be replaced
 * @param sources files that must not be replaced
 * @throws {OutputError} `exists` or `cannot-write`
 */
export function checkOutput(file: string, replace: boolean, sources: readonly string[] = []): void {
  const existing = refused(file, () => fs.lstatSync(file, { throwIfNoEntry: false }));
  // A symlink itself would be replaced, not its target (/dev/stdout is one).
  if (existing !== undefined && !existing.isFile()) {
    throw new OutputError('cannot-write', `${file}: not a regular file`);
  }
  const isThere = (source: string) => {
    const { dev, ino } = fs.statSync(source);
    return dev === existing?.dev && ino === existing.ino;
  };
  if (existing !== undefined && sources.some(isThere)) {
    throw new OutputError('exists', `${file}: cannot be replaced (it is the dump that is read)`);
  }
  if (existing !== undefined && !replace) {
    throw new OutputError('exists', `${file}: already exists (--force replaces it)`);
  }
  refused(file, () => fs.accessSync(path.dirname(file), fs.constants.W_OK));
}

/**
 * A file that appears under its name only when it is complete: it is written under a temporary name
 * next to it, and removed if it is not finished, also when a signal ends the program. Signals are
 * handled when the writer awaits.
 */
export class OutputFile {
  readonly path: string;
  readonly #partial: string;
  readonly #fd: number;
  readonly #replace: boolean;
  readonly #cleanUp = (): void => this.discard();
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.discard();
    this.#unhook();
    // Without the handlers, the signal has its default effect.
    process.kill(process.pid, signal);
  };
  #open = false;

  /**
   * @param replace an existing file may be replaced
   * @param mode file mode, regardless of the umask (default: readable only by its owner, as for kernel
   * memory)
   * @throws {OutputError} `exists` or `cannot-write`
   */
  constructor(file: string, replace: boolean, mode = 0o600) {
    this.path = file;
    this.#replace = replace;
    checkOutput(file, replace);
    // In a container every run may have the same pid, and a killed run leaves its file.
    const name = `.${path.basename(file)}.${randomBytes(6).toString('hex')}.partial`;
    this.#partial = path.join(path.dirname(file), name);
    // Before the file exists: a signal in between would end the program and leave the file.
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    try {
      this.#fd = refused(file, () => fs.openSync(this.#partial, 'wx', 0o600));
    } catch (error) {
      this.#unhookLater();
      throw error;
    }
    process.on('exit', this.#cleanUp);
    this.#open = true;
    if (mode !== 0o600) refused(file, () => fs.fchmodSync(this.#fd, mode));
  }

  /** Writes bytes at a position; gaps read as zeros. */
  write(position: number, bytes: Uint8Array): void {
    refused(this.path, () => {
      for (let done = 0; done < bytes.length; )
        done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    });
  }

  /** Changes the owner, if this process may. */
  giveTo({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
    try {
      fs.fchownSync(this.#fd, uid, gid);
    } catch {
      // The file keeps the owner of this process.
    }
  }

  /** Gives the file its final name. @returns its size in bytes */
  finish(): number {
    const size = refused(this.path, () => {
      fs.fsyncSync(this.#fd);
      const stat = fs.fstatSync(this.#fd);
      // A hard link fails if the name exists by now; a rename would replace it.
      if (this.#replace) fs.renameSync(this.#partial, this.path);
      else fs.linkSync(this.#partial, this.path);
      return stat.size;
    });
    this.discard();
    return size;
  }

  /** Removes the unfinished file. Idempotent. */
  discard(): void {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#fd);
    fs.rmSync(this.#partial, { force: true });
    process.off('exit', this.#cleanUp);
    this.#unhookLater();
  }

  /** Removes the handlers after pending signals were delivered. */
  #unhookLater(): void {
    setImmediate(() => this.#unhook());
  }

  #unhook(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function refused<Result>(file: string, step: () => Result): Result {
  try {
    return step();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    if (code === 'EEXIST') throw new OutputError('exists', `${file}: already exists (--force replaces it)`);
    throw new OutputError('cannot-write', `${file}: write failed (${code})`, { cause });
  }
}
