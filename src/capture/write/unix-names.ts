import { isHeading, LineCutter } from '../../host/ss/lines.js';
import { LEFT_OUT_NAME } from '../read/contents.js';

/** What ss prints of a unix socket before its names, and after them. */
const HEAD = /^u_[a-z]{3} +[A-Z0-9-]+ +\d+ +\d+ */;
const TAIL = / *skmem:\([a-z0-9,]*\) [-<>]+(?: ino:\d* dev:\d*\/\d*)*(?: peers:[ \d]*)* *$/;
const SHORT_TAIL = / *<-> *$/;

/**
 * A line of `ss -x` without the names in it. A name is a path, and may hold blanks and line breaks; so every
 * word where names may stand is replaced, and rows are read as they were before. Numbers and `*` stay, since
 * nobody can tell such a word of a name from an inode. The script's `nameless` does the same.
 *
 * @param first it is the first line, which is a heading where this ss knows no -H
 */
function withoutNames(line: string, first: boolean): string {
  if (first && isHeading(line)) return line;
  const head = HEAD.exec(line)?.[0] ?? '';
  const rest = line.slice(head.length);
  const tail = (TAIL.exec(rest) ?? SHORT_TAIL.exec(rest))?.[0] ?? '';
  const names = rest.slice(0, rest.length - tail.length);
  return head + names.replaceAll(/[^ ]*[^ 0-9*][^ ]*/g, LEFT_OUT_NAME) + tail;
}

/** The same of what comes in pieces. Lines that are too long for a row are passed on as a word. */
export class UnixNames {
  readonly #lines: LineCutter;
  #first = true;

  constructor(write: (text: string) => void) {
    this.#lines = new LineCutter((bytes, from, to) => {
      write(`${withoutNames(bytes.toString('latin1', from, to), this.#first)}\n`);
      this.#first = false;
    });
  }

  push(bytes: Buffer): void {
    this.#lines.push(bytes);
  }

  end(): void {
    this.#lines.end();
  }
}

/** The rows of /proc/net/unix without the names at their ends. */
export function netTableWithoutNames(text: string): string {
  const row = /^[0-9A-Fa-f]*: [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* *[0-9]*/;
  return text
    .split('\n')
    .map((line, index) =>
      index === 0 || line === '' ? line : (row.exec(line)?.[0] ?? LEFT_OUT_NAME),
    )
    .join('\n');
}
