import { once } from 'node:events';
import { escapeText } from '../report/escape.js';
import type { Warning } from '../walk/warnings.js';

/** Prints an answer to stdout. A reader that went away (`| head`) is no error. */
export function printAnswer(text: string): void {
  endWithReader();
  process.stdout.write(`${text}\n`);
}

/** Prints a long answer piece by piece, no faster than it is read. */
export async function printStream(pieces: Iterable<string | Uint8Array>): Promise<void> {
  endWithReader();
  for (const piece of pieces) {
    if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
  }
}

function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

/** Prints what makes an answer incomplete or doubtful to stderr. */
export function printWarnings(warnings: readonly Warning[]): void {
  for (const { message } of warnings) {
    process.stderr.write(`kdump-mem: warning: ${escapeText(message)}\n`);
  }
}
