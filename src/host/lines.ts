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

const SPACE = 0x20;
const NUMBER = 0x23;
const WORD = 0x2a;
const ZERO = 0x30;
const NINE = 0x39;
/** More digits may not be exact. */
const MAX_DIGITS = 15;

/** Numbers of the text that {@link endOfForm} matched last. */
export const numbersOfForm: number[] = [];

/**
 * Returns where a text of this form ends, -1 if it has another form; creates no strings. In a form, a blank is one or
 * more of them, `#` is a number, `*` a word of visible ASCII characters.
 */
export function endOfForm(form: string, bytes: Buffer, from: number, to: number): number {
  numbersOfForm.length = 0;
  let at = from;
  for (let index = 0; index < form.length; index++) {
    const expected = form.charCodeAt(index);
    const start = at;
    if (expected === NUMBER) {
      let value = 0;
      for (; at < to && isDigit(bytes[at]); at++) value = value * 10 + (bytes[at] ?? ZERO) - ZERO;
      if (at - start > MAX_DIGITS) return -1;
      numbersOfForm.push(value);
    } else if (expected === SPACE) at = skipSpaces(bytes, at, to);
    else if (expected === WORD) while (at < to && isVisible(bytes[at])) at++;
    else if (at < to && bytes[at] === expected) at++;
    if (at === start) return -1;
  }
  return at;
}

export function skipSpaces(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] === SPACE) at++;
  return at;
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function isVisible(byte: number | undefined): boolean {
  return byte !== undefined && byte > SPACE && byte < 0x7f;
}
