/**
 * Splits the output of ss into rows: a line and the following lines that begin with a tab, where an ss
 * without `-O` continues a socket's details. Rows that are skipped because of their first line are
 * never converted to strings.
 */
export class RowCutter {
  #row: string | null = null;
  readonly #lines: LineCutter;

  constructor(
    readonly onRow: (row: string) => void,
    passesOver: (bytes: Buffer, from: number, to: number) => boolean = () => false,
  ) {
    this.#lines = new LineCutter((bytes, from, to) => {
      const goesOn = bytes[from] === TAB;
      if (goesOn && this.#row === null) return;
      if (goesOn) {
        const continuation = bytes.toString('utf8', from + 1, to).trim();
        this.#row = `${this.#row?.trimEnd()} ${continuation}`;
        return;
      }
      this.#end();
      if (!passesOver(bytes, from, to)) this.#row = bytes.toString('utf8', from, to);
    });
  }

  /** Number of overlong lines, which are skipped. */
  get overlong(): number {
    return this.#lines.overlong;
  }

  push(piece: Buffer): void {
    this.#lines.push(piece);
  }

  /** Ends the input. */
  end(): void {
    this.#lines.end();
    this.#end();
  }

  #end(): void {
    const row = this.#row?.trimEnd();
    this.#row = null;
    if (row && !isHeading(row)) this.onRow(row);
  }
}

/** The first line of an ss without `-H`. */
export function isHeading(line: string): boolean {
  return /^Netid +State /.test(line);
}

/** A longer line is invalid: an inet row has less than 2,000 bytes. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const TAB = 0x09;

/**
 * Splits a stream of bytes into lines without creating strings or copies: `onLine` receives the piece
 * and the position of the line in it (without its newline); also for empty lines.
 */
export class LineCutter {
  #rest: Buffer | null = null;
  /** Number of overlong lines, which are skipped. */
  overlong = 0;
  #skipping = false;

  constructor(readonly onLine: (bytes: Buffer, from: number, to: number) => void) {}

  push(piece: Buffer): void {
    let from = 0;
    if (this.#rest) {
      const end = piece.indexOf(NEWLINE) + 1;
      // Copies only the line that was split, not the whole piece.
      const line = Buffer.concat([this.#rest, end > 0 ? piece.subarray(0, end) : piece]);
      this.#rest = null;
      if (end === 0) {
        this.#store(line, 0);
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
    if (from < piece.length) this.#store(piece, from);
  }

  /** Stores the beginning of a line until the rest arrives. */
  #store(bytes: Buffer, from: number): void {
    if (this.#skipping) return;
    // A copy: the piece's memory may be reused.
    if (bytes.length - from <= MAX_LINE_BYTES) this.#rest = Buffer.from(bytes.subarray(from));
    else {
      this.#skipping = true;
      this.overlong++;
    }
  }

  /** Whether the bytes so far end within a line, without its newline. */
  get endsWithinLine(): boolean {
    return this.#rest !== null || this.#skipping;
  }

  /** Ends the input: the last line may lack its newline. */
  end(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest) this.onLine(rest, 0, rest.length);
  }
}
