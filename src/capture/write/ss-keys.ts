/** `ss -i` prints TCP-MD5 keys to root, which a snapshot must not contain. */
const KEYS = / md5keys:\S*/g;
const MARK = ' md5keys:';
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
/** Maximum length of a row: longer lines are not buffered to their end. */
const MAX_LINE = 1024 * 1024;

export function withoutKeys(line: string): string {
  return line.includes(MARK) ? line.replaceAll(KEYS, '') : line;
}

/** Removes keys from the streamed output of ss. Few hosts have any: only lines with keys are converted to strings. */
export class WithoutKeys {
  readonly #write: (bytes: Buffer | string) => void;
  /** The beginning of an incomplete line. */
  #open: Buffer = NOTHING;

  constructor(write: (bytes: Buffer | string) => void) {
    this.#write = write;
  }

  push(bytes: Buffer): void {
    let from = 0;
    if (this.#open.length > 0) {
      // Joins only the line that was split.
      const end = bytes.indexOf(NEWLINE) + 1;
      const line = Buffer.concat([this.#open, end > 0 ? bytes.subarray(0, end) : bytes]);
      if (end === 0 && line.length < MAX_LINE) {
        this.#open = line;
        return;
      }
      this.#put(line);
      this.#open = NOTHING;
      if (end === 0) return;
      from = end;
    }
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end > from) this.#put(bytes.subarray(from, end));
    // A copy: the piece's memory may be reused.
    this.#open = Buffer.from(bytes.subarray(Math.max(from, end)));
  }

  end(): void {
    this.#put(this.#open);
    this.#open = NOTHING;
  }

  #put(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#write(bytes.includes(MARK) ? withoutKeys(bytes.toString('latin1')) : bytes);
  }
}
