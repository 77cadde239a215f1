import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { OutputError } from '../../base/output-file.js';

/** Identifies a dump and the rules with which it was read. */
export interface Identity {
  /** Its path. */
  readonly dump: string;
  readonly size: number;
  /** ISO 8601, in UTC; null: not known. */
  readonly mtime: string | null;
  /** Checksum of the rules; null: there were none. */
  readonly rulesFile: string | null;
}

/** What a line says of itself. */
export interface ResumedLine extends Identity {
  readonly ok: boolean;
  readonly complete: boolean;
  /** Each code once with each severity. */
  readonly findings: readonly { readonly code: string; readonly severity: string }[];
}

/** Parses a line: `end` for the end line, undefined if it is not ours. */
export type ParseLine = (text: string) => ResumedLine | 'end' | undefined;

interface Place extends ResumedLine {
  /** It stands in the file that is gone on with. */
  readonly own: boolean;
  readonly fd: number;
  readonly at: number;
  readonly length: number;
}

const PIECE = 1 << 20;
const LONGEST = 64 * 2 ** 20;
const NEWLINE = 10;

/**
 * Lines of earlier runs, which stay in their files: those of thousands of dumps are megabytes. Of two of the same
 * dump the later counts.
 */
export class EarlierLines {
  readonly #parse: ParseLine;
  readonly #places = new Map<string, Place>();
  readonly #fds: number[] = [];

  constructor(parse: ParseLine) {
    this.#parse = parse;
  }

  /**
   * Takes the lines of a file that an earlier run wrote. Its last line may be torn: then it is left out.
   *
   * @param own it is the file that this run writes again
   * @returns bytes up to the end of the last line that is whole
   * @throws {OutputError} `exists`: it holds something else; `cannot-write`: it cannot be read
   */
  take(file: string, own: boolean): number {
    const fd = opened(file);
    this.#fds.push(fd);
    if (!fstatSync(fd).isFile()) throw new OutputError('exists', `${file}: not a regular file`);
    let end = 0;
    for (const { at, length, text } of wholeLines(fd, file)) {
      const told = this.#parse(text);
      if (told === undefined) throw notOurs(file);
      if (told !== 'end') this.#add({ ...told, own, fd, at, length });
      end = at + length + 1;
    }
    if (end === 0 && fstatSync(fd).size > 0 && !beginsAsOurs(fd)) throw notOurs(file);
    return end;
  }

  /** Notes where a line was written just now. */
  wrote(told: ResumedLine, fd: number, at: number, length: number): void {
    this.#add({ ...told, own: true, fd, at, length });
  }

  /** The line of that very dump. */
  find({ dump, size, mtime, rulesFile }: Identity): ResumedLine | undefined {
    const told = this.#places.get(dump);
    const isSame = told?.size === size && told.mtime === mtime && told.rulesFile === rulesFile;
    return isSame ? told : undefined;
  }

  /** What the file that is gone on with says of every dump in it. */
  own(): ResumedLine[] {
    return [...this.#places.values()].filter(({ own }) => own);
  }

  /** The text of the line of a dump. */
  text(dump: string): string {
    const { fd, at, length } = this.#places.get(dump)!;
    const bytes = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      const read = readSync(fd, bytes, done, length - done, at + done);
      if (read === 0)
        throw new OutputError(
          'cannot-write',
          'a file with earlier lines was truncated during the run',
        );
      done += read;
    }
    return bytes.toString();
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }

  #add(place: Place): void {
    // At the end, also if it stood before: maps keep the place of a key that they have.
    this.#places.delete(place.dump);
    this.#places.set(place.dump, place);
  }
}

/** A fifo that nobody writes to is opened too, and does not keep us. */
function opened(file: string): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new OutputError('cannot-write', `${file} cannot be read (${code})`, { cause });
  }
}

function notOurs(file: string): OutputError {
  return new OutputError(
    'exists',
    `${file} exists and is not output of triage --ndjson: name another file`,
  );
}

/** A run that was killed while it wrote its first line. */
function beginsAsOurs(fd: number): boolean {
  const head = Buffer.alloc(32);
  const read = readSync(fd, head, 0, head.length, 0);
  const start = '{"schema":"kdump-mem.triage-';
  const seen = head.toString('latin1', 0, read);
  return seen.startsWith(start) || start.startsWith(seen);
}

/** @throws {OutputError} on a line that is longer than any of ours */
function* wholeLines(
  fd: number,
  file: string,
): Generator<{ at: number; length: number; text: string }> {
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
