import { closeSync, existsSync, fdatasyncSync, fstatSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { checkOutput, OutputError, OutputFile } from '../../base/output-file.js';
import type { EarlierLines, ResumedLine } from './earlier-lines.js';

/** Output of lines: each dump has one line in the end, in the order of the dumps. */
export interface LineOutput {
  /** Takes the line of a dump, in any order. */
  write(index: number, dump: string, line: string, fields: ResumedLine): void;
  /** Called after the last line. */
  finish(order: readonly string[], end: string): void;
  /** Releases the output; nothing more is written. */
  close(): void;
}

/**
 * Lines to stdout in order: a line that is ready early is held back. A kill loses these, and leaves the lines
 * before them.
 */
export class StreamedLines implements LineOutput {
  readonly #waiting = new Map<number, string>();
  #next = 0;

  write(index: number, _dump: string, line: string): void {
    this.#waiting.set(index, line);
    for (let text = this.#waiting.get(this.#next); text !== undefined; ) {
      process.stdout.write(`${text}\n`);
      this.#waiting.delete(this.#next++);
      text = this.#waiting.get(this.#next);
    }
  }

  finish(_order: readonly string[], end: string): void {
    process.stdout.write(`${end}\n`);
  }

  close(): void {}
}

/**
 * Writes lines to a file so that they survive a kill. Each line is appended to `FILE.part` when it is ready.
 * At the end, FILE is written in order and replaced atomically.
 */
export class FiledLines implements LineOutput {
  readonly #file: string;
  readonly #earlier: EarlierLines;
  readonly #fd: number;
  #at: number;

  /**
   * @param earlier receives the lines of FILE and FILE.part of an earlier run
   * @throws {OutputError} one of them contains something else, or cannot be written; another run is writing
   * it
   */
  constructor(file: string, earlier: EarlierLines) {
    this.#file = file;
    this.#earlier = earlier;
    const part = partOf(file);
    for (const path of [file, part]) checkOutput(path, true);
    if (existsSync(file)) earlier.take(file, true);
    this.#fd = written(file, () => openSync(part, 'a+', 0o600));
    this.#at = fstatSync(this.#fd).size;
    const whole = earlier.take(part, true);
    this.#needAlone();
    // Removes the incomplete line of a killed run.
    written(file, () => ftruncateSync(this.#fd, whole));
    this.#at = whole;
  }

  write(_index: number, _dump: string, line: string, fields: ResumedLine): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#needAlone();
    written(this.#file, () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      fdatasyncSync(this.#fd);
    });
    this.#earlier.wrote(fields, this.#fd, this.#at, bytes.length - 1);
    this.#at += bytes.length;
  }

  finish(order: readonly string[], end: string): void {
    this.#needAlone();
    const output = new OutputFile(this.#file, true);
    try {
      let at = 0;
      const add = (line: string): void => {
        const bytes = Buffer.from(`${line}\n`);
        output.write(at, bytes);
        at += bytes.length;
      };
      for (const dump of order) add(this.#earlier.text(dump));
      add(end);
      output.finish();
    } finally {
      output.discard();
    }
    rmSync(partOf(this.#file), { force: true });
  }

  close(): void {
    closeSync(this.#fd);
  }

  /**
   * Another writer would move our lines from their noted positions, and the first to finish would remove the
   * file.
   */
  #needAlone(): void {
    const { size, nlink } = written(this.#file, () => fstatSync(this.#fd));
    if (size === this.#at && nlink > 0) return;
    const part = partOf(this.#file);
    const message = `another run is writing to ${part}. No line is lost: run this command again after that run has ended`;
    throw new OutputError('cannot-write', message);
  }
}

function partOf(file: string): string {
  return `${file}.part`;
}

function written<Result>(file: string, step: () => Result): Result {
  try {
    return step();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new OutputError('cannot-write', `${file} cannot be written (${code})`, { cause });
  }
}
