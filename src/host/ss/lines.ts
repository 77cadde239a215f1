/** A line longer than this is nobody's row: an inet row has under 2,000 bytes. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/**
 * Cuts bytes that come in pieces into lines, without making a string or a copy of any: `onLine` is
 * given the piece and where the line lies in it (without its newline); empty lines too.
 */
export class LineCutter {
  #rest: Buffer | null = null;
  /** Lines that were too long and are left out. */
  overlong = 0;
  #skipping = false;

  constructor(readonly onLine: (bytes: Buffer, from: number, to: number) => void) {}

  push(piece: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, piece]) : piece;
    this.#rest = null;
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
      if (this.#skipping) this.#skipping = false;
      else this.onLine(bytes, from, to);
      from = to + 1;
    }
    if (from >= bytes.length) return;
    if (bytes.length - from <= MAX_LINE_BYTES) {
      // A copy: the piece's memory may be used again.
      if (!this.#skipping) this.#rest = Buffer.from(bytes.subarray(from));
    } else if (!this.#skipping) {
      this.#skipping = true;
      this.overlong++;
    }
  }

  /** No more pieces come: the last line may lack its newline. */
  end(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest) this.onLine(rest, 0, rest.length);
  }
}
