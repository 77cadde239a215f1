import { escapeText } from '../report/escape.js';
import type { Warning } from '../walk/warnings.js';

/** Prints an answer to stdout. A reader that went away (`| head`) is no error. */
export function printAnswer(text: string): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
  process.stdout.write(`${text}\n`);
}

/** Prints what makes an answer incomplete or doubtful to stderr. */
export function printWarnings(warnings: readonly Warning[]): void {
  for (const { message } of warnings) {
    process.stderr.write(`kdump-mem: warning: ${escapeText(message)}\n`);
  }
}
