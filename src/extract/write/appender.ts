import type { OutputFile } from '../../base/output-file.js';

/** Bytes that are written together. */
const PIECE = 1 << 20;

/** Writes bytes one after the other from a place of a file on, not each by itself. */
export class Appender {
  readonly #file: OutputFile;
  readonly #piece = Buffer.alloc(PIECE);
  #filled = 0;
  /** Where the piece will lie. */
  #at: number;

  constructor(file: OutputFile, position: number) {
    this.#file = file;
    this.#at = position;
  }

  /** Where the next bytes will lie in the file. */
  get position(): number {
    return this.#at + this.#filled;
  }

  /** @throws {OutputError} `cannot-write` */
  append(bytes: Uint8Array): void {
    if (this.#filled + bytes.length > PIECE) this.flush();
    if (bytes.length > PIECE) throw new RangeError(`write of ${bytes.length} bytes`);
    this.#piece.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  /** Writes what was appended last. @throws {OutputError} `cannot-write` */
  flush(): void {
    this.#file.write(this.#at, this.#piece.subarray(0, this.#filled));
    this.#at += this.#filled;
    this.#filled = 0;
  }
}
