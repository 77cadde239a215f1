import { writeSync } from 'node:fs';
import { escapeText } from '../../answers/text/escape.js';
import { EXHAUSTION_ADVICE, exhaustionOf } from '../../base/exhaustion.js';

/** EX_SOFTWARE of sysexits.h: an error that nobody caught. No answer has this status. */
const BUG_STATUS = 70;

/** Set, it makes {@link reportBugs} print where the error was thrown. */
const STACK_VARIABLE = 'KDUMP_MEM_STACK';

const MOST_WORDS = 300;

/**
 * From now on an error that nobody catches, a promise's or an emitter's too, ends the program with one
 * line and status 70: node's own status for it, 1, is one of ours.
 *
 * @param program its name, for the message
 */
export function reportBugs(program: string): void {
  process.on('uncaughtException', (error: unknown) => {
    // Whatever was begun is not gone on with.
    say(`${program}: ${wordsOf(error)}\n`);
    if (process.env[STACK_VARIABLE] && error instanceof Error) {
      const lines = (error.stack ?? '').split('\n').slice(1);
      say(lines.map((line) => `${escapeText(line)}\n`).join(''));
    }
    process.exit(BUG_STATUS);
  });
}

function wordsOf(error: unknown): string {
  const exhausted = exhaustionOf(error);
  if (exhausted !== undefined) return `${exhausted}. ${EXHAUSTION_ADVICE}`;
  const what = escapeText(String(error)).slice(0, MOST_WORDS);
  return `internal error (${what}). Please report it with the output of a run with ${STACK_VARIABLE}=1.`;
}

/** At once, since the program ends; there may be nobody to hear it. */
function say(text: string): void {
  try {
    writeSync(2, text);
  } catch {}
}
