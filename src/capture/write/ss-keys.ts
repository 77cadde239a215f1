/** `ss -i` prints the keys of TCP-MD5 to root: nobody has asked for those. */
const KEYS = / md5keys:\S*/g;
const MARK = ' md5keys:';
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
/** No row has more: what is longer is not kept waiting for its end. */
const MOST_LINE = 1024 * 1024;

export function withoutKeys(line: string): string {
  return line.includes(MARK) ? line.replaceAll(KEYS, '') : line;
}

/** What ss prints, as it comes, without keys. Hardly a host has any: lines are made only of those that do. */
export class WithoutKeys {
  readonly #write: (bytes: Buffer | string) => void;
  /** The beginning of a line that goes on. */
  #open: Buffer = NOTHING;

  constructor(write: (bytes: Buffer | string) => void) {
    this.#write = write;
  }

  push(bytes: Buffer): void {
    let from = 0;
    if (this.#open.length > 0) {
      // Only the line that was cut is joined.
      const end = bytes.indexOf(NEWLINE) + 1;
      const line = Buffer.concat([this.#open, end > 0 ? bytes.subarray(0, end) : bytes]);
      if (end === 0 && line.length < MOST_LINE) {
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
    // A copy: the piece's memory may be used again.
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
