/**
 * Cuts what ss prints into rows: a line, and those after it that begin with a tab, on which an ss without
 * `-O` goes on with a socket's details. Rows that are passed over, by their first line, become no string.
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
        const more = bytes.toString('utf8', from + 1, to).trim();
        this.#row = `${this.#row?.trimEnd()} ${more}`;
        return;
      }
      this.#end();
      if (!passesOver(bytes, from, to)) this.#row = bytes.toString('utf8', from, to);
    });
  }

  /** Lines that were too long and are left out. */
  get overlong(): number {
    return this.#lines.overlong;
  }

  push(piece: Buffer): void {
    this.#lines.push(piece);
  }

  /** No more pieces come. */
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

/** The line that an ss without `-H` begins with. */
export function isHeading(line: string): boolean {
  return /^Netid +State /.test(line);
}

/** A line longer than this is nobody's row: an inet row has under 2,000 bytes. */
const MAX_LINE_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const TAB = 0x09;

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

  /** What has come so far ends amid a line: it lacks its newline. */
  get isAmid(): boolean {
    return this.#rest !== null || this.#skipping;
  }

  /** No more pieces come: the last line may lack its newline. */
  end(): void {
    const rest = this.#rest;
    this.#rest = null;
    if (rest) this.onLine(rest, 0, rest.length);
  }
}
