import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { OutputError } from '../../base/output-file.js';

/** Identifies a dump and the rules with which it was read. */
export interface Identity {
  /** Its path. */
  readonly dump: string;
  readonly size: number;
  /** ISO 8601, in UTC; null: unknown. */
  readonly mtime: string | null;
  /** Checksum of the rules; null: none. */
  readonly rulesFile: string | null;
}

/** Fields of a line. */
export interface ResumedLine extends Identity {
  readonly ok: boolean;
  readonly complete: boolean;
  /** Each pair of code and severity once. */
  readonly findings: readonly { readonly code: string; readonly severity: string }[];
}

/** Parses a line: `end` for the end line, undefined if it is not output of this tool. */
export type ParseLine = (text: string) => ResumedLine | 'end' | undefined;

interface Place extends ResumedLine {
  /** It is in the output file that is resumed. */
  readonly own: boolean;
  readonly fd: number;
  readonly at: number;
  readonly length: number;
}

const PIECE = 1 << 20;
const LONGEST = 64 * 2 ** 20;
const NEWLINE = 10;

/**
 * Lines of earlier runs, which stay in their files: for thousands of dumps they are megabytes. If a dump has
 * two lines, the later one counts.
 */
export class EarlierLines {
  readonly #parse: ParseLine;
  readonly #places = new Map<string, Place>();
  readonly #fds: number[] = [];

  constructor(parse: ParseLine) {
    this.#parse = parse;
  }

  /**
   * Reads the lines that an earlier run wrote to a file. A truncated last line is left out.
   *
   * @param own whether it is the output file of this run
   * @returns bytes up to the end of the last complete line
   * @throws {OutputError} `exists`: it contains something else; `cannot-write`: it cannot be read
   */
  take(file: string, own: boolean): number {
    const fd = opened(file);
    this.#fds.push(fd);
    if (!fstatSync(fd).isFile()) throw new OutputError('exists', `${file}: not a regular file`);
    let end = 0;
    for (const { at, length, text } of wholeLines(fd, file)) {
      const parsed = this.#parse(text);
      if (parsed === undefined) throw notOurs(file);
      if (parsed !== 'end') this.#add({ ...parsed, own, fd, at, length });
      end = at + length + 1;
    }
    if (end === 0 && fstatSync(fd).size > 0 && !beginsAsOurs(fd)) throw notOurs(file);
    return end;
  }

  /** Records the position of a line that was just written. */
  wrote(line: ResumedLine, fd: number, at: number, length: number): void {
    this.#add({ ...line, own: true, fd, at, length });
  }

  /** Returns the line of a dump, if its size, mtime and rules are unchanged. */
  find({ dump, size, mtime, rulesFile }: Identity): ResumedLine | undefined {
    const known = this.#places.get(dump);
    const isSame = known?.size === size && known.mtime === mtime && known.rulesFile === rulesFile;
    return isSame ? known : undefined;
  }

  /** Lines of every dump in the resumed file. */
  own(): ResumedLine[] {
    return [...this.#places.values()].filter(({ own }) => own);
  }

  /** Returns the text of a dump's line. */
  text(dump: string): string {
    const { fd, at, length } = this.#places.get(dump)!;
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const read = readSync(fd, bytes, done, length - done, at + done);
      if (read === 0) throw new OutputError('cannot-write', 'a file with earlier lines was truncated during the run');
      done += read;
    }
    return bytes.toString();
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }

  #add(place: Place): void {
    // Moved to the end, even if it existed: a map keeps the position of an existing key.
    this.#places.delete(place.dump);
    this.#places.set(place.dump, place);
  }
}

/** Opening a fifo without a writer must not block. */
function opened(file: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${file} cannot be read (${code})`, { cause });
  }
}

function notOurs(file: string): OutputError {
  return new OutputError('exists', `${file} exists and is not output of triage --ndjson: name another file`);
}

/**
 * Whether the file begins like output of this tool. A run that was killed may have written only part of the
 * first line.
 */
function beginsAsOurs(fd: number): boolean {
  const head = Buffer.alloc(32);
  const read = readSync(fd, head, 0, head.length, 0);
  const start = '{"schema":"kdump-mem.triage-';
  const seen = head.toString('latin1', 0, read);
  return seen.startsWith(start) || start.startsWith(seen);
}

/** @throws {OutputError} if a line is longer than `LONGEST` */
function* wholeLines(fd: number, file: string): Generator<{ at: number; length: number; text: string }> {
  let rest: Buffer = Buffer.alloc(0);
  let at = 0;
  for (let position = 0; ; ) {
    const piece = Buffer.alloc(PIECE);
    const read = readSync(fd, piece, 0, PIECE, position);
    if (read === 0) return;
    position += read;
    rest = Buffer.concat([rest, piece.subarray(0, read)]);
    for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE)) {
      yield { at, length: end, text: rest.toString('utf8', 0, end) };
      at += end + 1;
      rest = rest.subarray(end + 1);
    }
    if (rest.length > LONGEST) throw notOurs(file);
  }
}
