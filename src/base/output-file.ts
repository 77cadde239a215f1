import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { KdumpMemError } from './error.js';

/** Why a file could not be written: it is there and may not be replaced, or the file system refuses. */
export class OutputError extends KdumpMemError<'exists' | 'cannot-write'> {}

/**
 * Whether a file could be written, before there is anything to write.
 *
 * @param replace a file of that name may be replaced
 * @param sources files that may not
 * @throws {OutputError} `exists` or `cannot-write`
 */
export function checkOutput(file: string, replace: boolean, sources: readonly string[] = []): void {
  const there = refused(file, () => fs.lstatSync(file, { throwIfNoEntry: false }));
  // A link would be replaced, and not what it leads to (/dev/stdout is one).
  if (there !== undefined && !there.isFile()) {
    throw new OutputError('cannot-write', `${file}: not a regular file`);
  }
  const isThere = (source: string) => {
    const { dev, ino } = fs.statSync(source);
    return dev === there?.dev && ino === there.ino;
  };
  if (there !== undefined && sources.some(isThere)) {
    throw new OutputError('exists', `${file}: cannot be replaced (it is the dump that is read)`);
  }
  if (there !== undefined && !replace) {
    throw new OutputError('exists', `${file}: already exists (--force replaces it)`);
  }
  refused(file, () => fs.accessSync(path.dirname(file), fs.constants.W_OK));
}

/**
 * A file that appears under its name only when it is whole: it is written beside it under another
 * one, which goes away if it is not finished, also when a signal ends the program. A signal is heard
 * when whoever writes awaits something.
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
    // With the handlers gone the signal does what it does to every program.
    process.kill(process.pid, signal);
  };
  #open = true;

  /**
   * @param replace a file of that name may be replaced
   * @param mode of the file, whatever the umask: for its owner's eyes unless said, as memory of a kernel is
   * @throws {OutputError} `exists` or `cannot-write`
   */
  constructor(file: string, replace: boolean, mode = 0o600) {
    this.path = file;
    this.#replace = replace;
    checkOutput(file, replace);
    // In a container every run may have the same pid, and a killed one leaves its file.
    const name = `.${path.basename(file)}.${randomBytes(6).toString('hex')}.partial`;
    this.#partial = path.join(path.dirname(file), name);
    this.#fd = refused(file, () => fs.openSync(this.#partial, 'wx', 0o600));
    if (mode !== 0o600) refused(file, () => fs.fchmodSync(this.#fd, mode));
    process.on('exit', this.#cleanUp);
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  /** Writes bytes at a place; what lies between places reads as zeros. */
  write(position: number, bytes: Uint8Array): void {
    refused(this.path, () => {
      for (let done = 0; done < bytes.length; )
        done += fs.writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    });
  }

  /** Gives the file its name. @returns its size in bytes */
  finish(): number {
    const size = refused(this.path, () => {
      fs.fsyncSync(this.#fd);
      const stat = fs.fstatSync(this.#fd);
      // A link fails where the name is taken by now; a rename would replace it.
      if (this.#replace) fs.renameSync(this.#partial, this.path);
      else fs.linkSync(this.#partial, this.path);
      return stat.size;
    });
    this.discard();
    return size;
  }

  /** Removes what was written so far, if it is not finished. Safe to call twice. */
  discard(): void {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#fd);
    fs.rmSync(this.#partial, { force: true });
    process.off('exit', this.#cleanUp);
    // A signal that has come and was not heard yet is delivered before this.
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
    if (code === 'EEXIST')
      throw new OutputError('exists', `${file}: already exists (--force replaces it)`);
    throw new OutputError('cannot-write', `${file}: write failed (${code})`, { cause });
  }
}
