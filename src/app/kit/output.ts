import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { summarized } from '../../answers/text/failed-reads.js';
import { escapeText } from '../../base/escape.js';
import { OutputFile } from '../../base/output-file.js';
import { isNote } from '../../walk/warnings.js';
import { asCalled } from './called-as.js';
import { UsageError } from './failure.js';
import { asciiText, isAsciiLocale } from './terminal.js';

/** Exit status after SIGPIPE, as shells report it for other programs before `head`. */
const NOT_READ = 141;

/**
 * Exits if the answer cannot be written: on a full disk or closed terminal with one line and a status, after
 * a closed pipe (`| head`) silently. Neither status is that of an answer.
 *
 * A closed stdout (`>&-`) cannot be detected: before any of our code runs, node replaces it with /dev/null,
 * which is also where callers redirect unwanted output.
 *
 * @param program its name, for the message
 * @param status exit status if the answer cannot be written
 */
export function endWithReader(program: string, status: number): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(NOT_READ);
    process.stderr.write(`${program}: the answer cannot be written (${code}).\n`);
    process.exit(status);
  });
  // stderr has no reader any more.
  process.stderr.on('error', () => undefined);
}

/** Output file name that means stdout. */
export const STDOUT = '-';

/** Prints an answer to stdout. */
export function printAnswer(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a human-readable answer; its commands are printed the way this program was called. */
export function printText(text: string): void {
  const called = asCalled(text);
  printAnswer(process.stdout.isTTY && isAsciiLocale() ? asciiText(called) : called);
}

/**
 * Prints a long answer piece by piece, no faster than it is read. A closed reader is detected between two
 * pieces.
 */
export async function printStream(pieces: Iterable<string | Uint8Array>): Promise<void> {
  for (const piece of pieces) {
    if (process.stdout.write(piece)) await setImmediate();
    else await once(process.stdout, 'drain');
  }
}

/** Prints warnings about an incomplete or doubtful answer to stderr. */
export function printWarnings(
  warnings: readonly { readonly code?: string | undefined; readonly message: string }[],
): void {
  for (const line of warningLines(warnings)) process.stderr.write(`kdump-mem: ${line}\n`);
}

/** Returns a line for each warning. */
export function warningLines(warnings: Parameters<typeof printWarnings>[0]): readonly string[] {
  return summarized(warnings).map(
    (warning) => `${isNote(warning) ? 'note' : 'warning'}: ${asCalled(escapeText(warning.message))}`,
  );
}

/**
 * Writes metrics for node_exporter's textfile collector. The file is replaced atomically.
 *
 * @throws {OutputError}
 */
export function writeTextfile(file: string, text: string): void {
  // The collector runs as another user.
  const output = new OutputFile(file, true, 0o644);
  output.write(0, Buffer.from(text));
  output.finish();
}

/** @throws {UsageError} if a profile on stdout would be mixed with another output format */
export function checkPrintedProfile(
  files: readonly (string | undefined)[],
  { json, folded }: { readonly json?: true; readonly folded?: true },
): void {
  const printed = json ? 'json' : folded ? 'folded' : undefined;
  if (printed && files.includes(STDOUT))
    throw new UsageError(`the profile goes to stdout: --${printed} has no place there. Name a file`);
}
