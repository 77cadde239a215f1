import { formatJson } from '../json.js';
import type { LeaksAnswer } from '../leaks/answer.js';
import { checkOutput, OutputFile } from '../output-file.js';
import { EXIT, UsageError } from './failure.js';
import { type LeaksOptions, ofProfiles } from './leaks-options.js';
import { printAnswer, printWarnings, STDOUT } from './output.js';
import { terminalWidth } from './terminal-width.js';
import { VERSION } from './version.js';

const USUAL_LIMIT = 20;

/** Whether files could be written, before minutes are spent. @throws {UsageError}, {@link OutputError} */
export function checkLeaksOutput(options: LeaksOptions): void {
  for (const file of ofProfiles(options))
    if (file !== STDOUT) checkOutput(file, options.force ?? false, options.from ?? []);
  if (options.pprof === STDOUT && process.stdout.isTTY)
    throw new UsageError('a profile is nothing for a terminal: send stdout into a file or a pipe');
}

/**
 * Writes the files that were asked for, and prints the answer; where a profile goes to stdout, what makes the answer
 * doubtful goes to stderr, as with folded stacks. @throws {OutputError}
 */
export async function printLeaks(answer: LeaksAnswer, options: LeaksOptions): Promise<void> {
  const { pprof, speedscope, folded, json, limit, strict } = options;
  if (pprof !== undefined || speedscope !== undefined || folded) {
    const profiles = await import('../report/leaks/profiles.js');
    const write = (file: string | undefined, bytes: () => Buffer) => {
      if (file === STDOUT) process.stdout.write(bytes());
      else if (file !== undefined) writeWhole(file, options.force ?? false, bytes());
    };
    write(pprof, () => profiles.leaksPprof(answer));
    write(speedscope, () =>
      Buffer.from(`${formatJson(profiles.leaksSpeedscope(answer, VERSION))}\n`),
    );
    if (folded) printAnswer(profiles.leaksFolded(answer).join('\n'));
  }
  if (pprof === STDOUT || speedscope === STDOUT || folded) {
    const { noteWords } = await import('../report/leaks/words.js');
    printWarnings(answer.notes.map((note) => ({ message: noteWords(note) })));
  } else if (json) {
    const { leaksJson } = await import('../report/leaks/json.js');
    printAnswer(formatJson(leaksJson(answer, limit), 2));
  } else {
    const { leaksText } = await import('../report/leaks/text.js');
    printAnswer(leaksText(answer, { limit: limit ?? USUAL_LIMIT, width: terminalWidth() }));
  }
  if (strict && !answer.complete) process.exitCode = EXIT.incomplete;
}

function writeWhole(file: string, replace: boolean, bytes: Buffer): void {
  const output = new OutputFile(file, replace);
  try {
    output.write(0, bytes);
    output.finish();
  } finally {
    output.discard();
  }
}
