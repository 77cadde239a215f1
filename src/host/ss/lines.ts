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
    let from = 0;
    if (this.#rest) {
      const end = piece.indexOf(NEWLINE) + 1;
      // Only the line that was cut is copied, not all of the piece.
      const line = Buffer.concat([this.#rest, end > 0 ? piece.subarray(0, end) : piece]);
      this.#rest = null;
      if (end === 0) {
        this.#keep(line, 0);
        return;
      }
      this.onLine(line, 0, line.length - 1);
      from = end;
    }
    for (let to = piece.indexOf(NEWLINE, from); to >= 0; to = piece.indexOf(NEWLINE, from)) {
      if (this.#skipping) this.#skipping = false;
      else this.onLine(piece, from, to);
      from = to + 1;
    }
    if (from < piece.length) this.#keep(piece, from);
  }

  /** The beginning of a line, until the rest of it comes. */
  #keep(bytes: Buffer, from: number): void {
    if (this.#skipping) return;
    // A copy: the piece's memory may be used again.
    if (bytes.length - from <= MAX_LINE_BYTES) this.#rest = Buffer.from(bytes.subarray(from));
    else {
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
