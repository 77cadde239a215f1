import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { escapeText } from '../../answers/text/escape.js';
import { OutputFile } from '../../base/output-file.js';
import { isNote } from '../../walk/warnings.js';

/** Status of a program that SIGPIPE ended, as shells tell it: what others that feed `head` end with. */
const NOT_READ = 141;

/**
 * From now on the program ends where its answer cannot be written: a disk that is full or a terminal that
 * is gone with one line and a status, a reader that goes away (`| head`) without a word. Neither status is
 * that of an answer.
 *
 * A stdout that is closed (`>&-`) cannot be told: before any of our code runs, node opens /dev/null in
 * its place, for reading and writing, just as callers do that ignore what is printed.
 *
 * @param program its name, for the message
 * @param status of a program whose answer cannot be written
 */
export function endWithReader(program: string, status: number): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(NOT_READ);
    process.stderr.write(`${program}: the answer cannot be written (${code}).\n`);
    process.exit(status);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => undefined);
}

/** As the name of a file that is to be written. */
export const STDOUT = '-';

/** Prints an answer to stdout. */
export function printAnswer(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Prints a long answer piece by piece, no faster than it is read; a reader that goes away is noticed
 * between two pieces.
 */
export async function printStream(pieces: Iterable<string | Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (process.stdout.write(piece)) await setImmediate();
    else await once(process.stdout, 'drain');
  }
}

/** Prints what makes an answer incomplete or doubtful to stderr. */
export function printWarnings(
  warnings: readonly { readonly code?: string | undefined; readonly message: string }[],
): void {
  for (const warning of warnings) {
    const kind = isNote(warning) ? 'note' : 'warning';
    process.stderr.write(`kdump-mem: ${kind}: ${escapeText(warning.message)}\n`);
  }
}

/**
 * Writes metrics for node_exporter's textfile collector: the file appears whole or not at all.
 *
 * @throws {OutputError}
 */
export function writeTextfile(file: string, text: string): void {
  // The collector is another user.
  const output = new OutputFile(file, true, 0o644);
  output.write(0, Buffer.from(text));
  output.finish();
}
