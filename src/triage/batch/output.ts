import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { checkOutput, OutputError, OutputFile } from '../../base/output-file.js';
import type { EarlierLines, ResumedLine } from './earlier-lines.js';

/** Where lines go: each in the end once, in the order of the dumps. */
export interface LineOutput {
  /** A dump's line is there, whichever comes first. */
  write(index: number, dump: string, line: string, told: ResumedLine): void;
  /** All are there. */
  finish(order: readonly string[], end: string): void;
  /** Nothing more is written. */
  close(): void;
}

/**
 * Lines to stdout, in their order: one that is there before its turn waits. Whoever kills us loses what waits,
 * and has the lines before it.
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
 * Lines to a file, of which none is lost however we end. Each is added to `FILE.part` as soon as it is there;
 * when all are, FILE is written in their order and takes the place of the earlier one at once.
 */
export class FiledLines implements LineOutput {
  readonly #file: string;
  readonly #told: EarlierLines;
  readonly #fd: number;
  #at: number;

  /**
   * @param told takes what FILE and FILE.part have from an earlier run
   * @throws {OutputError} one of them holds something else, or cannot be written; another run writes there
   */
  constructor(file: string, told: EarlierLines) {
    this.#file = file;
    this.#told = told;
    const part = partOf(file);
    for (const path of [file, part]) checkOutput(path, true);
    if (existsSync(file)) told.take(file, true);
    this.#fd = written(file, () => openSync(part, 'a+', 0o600));
    this.#at = fstatSync(this.#fd).size;
    const whole = told.take(part, true);
    this.#needAlone();
    // The line that a killed run had begun.
    written(file, () => ftruncateSync(this.#fd, whole));
    this.#at = whole;
  }

  write(_index: number, _dump: string, line: string, told: ResumedLine): void {
    const bytes = Buffer.from(`${line}\n`);
    this.#needAlone();
    written(this.#file, () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
      fdatasyncSync(this.#fd);
    });
    this.#told.wrote(told, this.#fd, this.#at, bytes.length - 1);
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
      for (const dump of order) add(this.#told.text(dump));
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
   * What others add moves our lines from where we noted them, and whoever finishes removes the file: we would
   * copy bytes that are no lines.
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
