import { formatJson } from '../../base/json.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Warning } from '../../walk/warnings.js';
import { EXIT } from './failure.js';
import { openSource, type SourceOptions } from './kernel-source.js';
import { printAnswer, printStream, printWarnings } from './output.js';
import { Progress, terminalWidth } from './terminal.js';

/** What every answer tells of itself. */
interface Answer {
  readonly total?: { readonly complete: boolean };
  /** Of an answer that tells more than a total, or another thing: whether all of it is whole. */
  readonly complete?: boolean;
  readonly warnings: readonly Warning[];
}

export interface AnswerOptions extends SourceOptions {
  readonly json?: true;
  readonly strict?: true;
}

/** One question of a command: how to ask it of a kernel, and how to print the answer. */
export interface Question<A extends Answer> extends Words<A> {
  /** What takes long, for the line that shows how much of it is done. */
  readonly doing?: string;
  /** @param progress to be told now and then which part is done, 0 to 1 */
  ask(kernel: Kernel, progress: (part: number) => void): A | Promise<A>;
}

/** How an answer is printed. */
interface Words<A> {
  toJson(answer: A): unknown;
  /** @param width columns of the terminal; null: there is none, and nothing is cut */
  toText(answer: A, width: number | null): string;
}

/**
 * Asks a question of the kernel that the options name and prints the answer; with
 * `--engine verify`, asks it of both engines and prints what differs.
 *
 * @throws what opening and asking throw
 */
export async function answer<A extends Answer>(
  options: AnswerOptions,
  question: Question<A>,
): Promise<void> {
  if (options.engine === 'verify') return verify(options, question);
  tell(await askOnce(options, question), options, question);
}

/** Prints an answer, and says by the exit status what --strict asks for. */
export function tell<A extends Answer>(
  found: A,
  options: Pick<AnswerOptions, 'json' | 'strict'>,
  words: Words<A>,
): void {
  printAnswer(
    options.json ? formatJson(words.toJson(found), 2) : words.toText(found, terminalWidth()),
  );
  // With --json the warnings are part of the answer.
  if (!options.json) printWarnings(found.warnings);
  if (options.strict && !isComplete(found)) process.exitCode = EXIT.incomplete;
}

/**
 * Prints an answer piece by piece while it is found, and keeps none of it.
 *
 * @param ask returns whether the answer was complete
 * @throws what opening and asking throw
 */
export async function streamAnswer(
  options: AnswerOptions,
  ask: (kernel: Kernel) => Generator<string, boolean>,
): Promise<void> {
  const kernel = await openSource(options);
  let complete = false;
  try {
    await printStream(
      (function* () {
        complete = yield* ask(kernel);
      })(),
    );
  } finally {
    kernel.close();
  }
  if (options.strict && !complete) process.exitCode = EXIT.incomplete;
}

function isComplete({ total, complete }: Answer): boolean {
  return complete ?? total?.complete ?? false;
}

async function verify<A extends Answer>(
  options: AnswerOptions,
  question: Question<A>,
): Promise<void> {
  const { compareAnswers } = await import('../../answers/verify/differences.js');
  const native = await askOnce(options, question, 'native');
  const crash = await askOnce(options, question, 'crash');
  const found = compareAnswers(question.toJson(native), question.toJson(crash));
  if (options.json) {
    printAnswer(formatJson({ schema: 'kdump-mem.verify/1', ...found }, 2));
  } else {
    const { verifyText } = await import('../../answers/verify/text.js');
    printAnswer(verifyText(found.compared, found.differences, terminalWidth()));
  }
  const complete = isComplete(native) && isComplete(crash);
  if (found.differences.length > 0) process.exitCode = EXIT.differs;
  else if (options.strict && !complete) process.exitCode = EXIT.incomplete;
}

async function askOnce<A extends Answer>(
  options: AnswerOptions,
  question: Question<A>,
  engine?: 'native' | 'crash',
): Promise<A> {
  const kernel = await openSource(options, engine);
  const progress = new Progress();
  try {
    return await question.ask(kernel, progress.of(question.doing ?? ''));
  } finally {
    progress.clear();
    kernel.close();
  }
}
