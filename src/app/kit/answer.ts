import { type Block, blockTexts } from '../../answers/text/blocks.js';
import { formatJson, jsonOf } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Warning } from '../../walk/warnings.js';
import { EXIT } from './failure.js';
import { type Page, type PageOptions, writePage } from './html-page.js';
import { openSource, type SourceOptions } from './kernel-source.js';
import { printAnswer, printStream, printText, printWarnings } from './output.js';
import { FORMS_SEPARATOR, isServed } from './served.js';
import { Progress, terminalWidth } from './terminal.js';

/** Fields common to all answers. */
interface Answer {
  readonly total?: { readonly complete: boolean };
  /** Whether the answer is complete; if undefined, `total.complete` applies. */
  readonly complete?: boolean;
  readonly warnings: readonly Warning[];
}

export interface AnswerOptions extends SourceOptions, PageOptions {
  readonly json?: true;
  readonly strict?: true;
}

/** A query of a command: how to compute the answer from a kernel, and how to print it. */
export type Question<A extends Answer> = Words<A> & {
  /** Description of a slow computation, for the progress line. */
  readonly doing?: string;
  /**
   * @param progress called with the completed part, 0 to 1
   * @param soFar shows what is known before the answer is complete, on a terminal
   */
  ask(kernel: Kernel, progress: (part: number) => void, soFar: (lines: readonly string[]) => void): A | Promise<A>;
};

/** Output formats of an answer. */
export type Words<A> = {
  /** Absent: the answer is what its contract declares. */
  toJson?(answer: A): unknown;
  /** Warnings that its text does not contain. Absent: all. */
  unsaid?(answer: A): readonly Warning[];
  /** Page that --html writes in place of the text. */
  toPage?(answer: A): Page | undefined;
} & (
  | { toBlocks(answer: A): readonly Block[] }
  /** @param width columns of the terminal; null: no terminal, so nothing is truncated */
  | { toText(answer: A, width: number | null): string }
);

function textOf<A>(words: Words<A>, answer: A, width: number | null): string {
  return 'toText' in words ? words.toText(answer, width) : blockTexts(words.toBlocks(answer), width).join('\n\n');
}

/**
 * Computes an answer from the kernel that the options name, and prints it. With `--engine verify`, computes
 * it with both engines and prints the differences.
 *
 * @throws errors of opening the kernel and of computing the answer
 */
export async function answer<A extends Answer>(options: AnswerOptions, question: Question<A>): Promise<void> {
  if (options.engine === 'verify') return verify(options, question);
  present(await answerOnce(options, question), options, question);
}

/** Prints an answer, and sets the exit status for --strict. */
export function present<A extends Answer>(
  result: A,
  options: Pick<AnswerOptions, 'json' | 'strict' | 'html' | 'force'>,
  words: Words<A>,
): void {
  if (options.json && isServed)
    printAnswer([formatJson(words.toJson?.(result) ?? result), textOf(words, result, null)].join(FORMS_SEPARATOR));
  else if (options.json) printAnswer(formatJson(words.toJson?.(result) ?? result, 2));
  else {
    const page = options.html === undefined ? undefined : words.toPage?.(result);
    printText(page ? writePage(options, page) : textOf(words, result, terminalWidth()));
  }
  // With --json the warnings are part of the answer.
  if (!options.json) printWarnings(words.unsaid?.(result) ?? result.warnings);
  if (options.strict && !isComplete(result)) process.exitCode = EXIT.incomplete;
}

/**
 * Prints an answer piece by piece while it is computed, without storing it.
 *
 * @param ask returns whether the answer was complete
 * @throws errors of opening the kernel and of computing the answer
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

async function verify<A extends Answer>(options: AnswerOptions, question: Question<A>): Promise<void> {
  const { compareAnswers, verifyBlocks } = await import('../../answers/verify/document.js');
  const native = await answerOnce(options, question, 'native');
  const crash = await answerOnce(options, question, 'crash');
  const jsonIn = (answer: A) => jsonOf(question.toJson?.(answer) ?? answer);
  const comparison = compareAnswers(jsonIn(native), jsonIn(crash));
  if (options.json) printAnswer(formatJson(comparison, 2));
  else printAnswer(blockTexts(verifyBlocks(comparison), terminalWidth()).join('\n\n'));
  const complete = isComplete(native) && isComplete(crash);
  if (comparison.differences.length > 0) process.exitCode = EXIT.differs;
  else if (options.strict && !complete) process.exitCode = EXIT.incomplete;
}

async function answerOnce<A extends Answer>(
  options: AnswerOptions,
  question: Question<A>,
  engine?: 'native' | 'crash',
): Promise<A> {
  const kernel = await openSource(options, engine);
  const progress = new Progress();
  try {
    return await question.ask(kernel, progress.of(question.doing ?? ''), (lines) => progress.soFar(lines));
  } finally {
    progress.clear();
    kernel.close();
  }
}
