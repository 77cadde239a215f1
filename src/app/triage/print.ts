import { pastedWords } from '../../answers/origin.js';
import { triageHtml } from '../../answers/triage/html/page.js';
import { triageJson } from '../../answers/triage/json.js';
import { briefText, summary, triageText } from '../../answers/triage/text.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { type FailOn, isFailing, type TriageDetail } from '../../triage/finding.js';
import { type AnswerOptions, present } from '../kit/answer.js';
import { EXIT } from '../kit/failure.js';
import { type PageOptions, writePage } from '../kit/html-page.js';
import { painter } from '../kit/terminal.js';

export interface TriagePrintOptions extends AnswerOptions, PageOptions {
  readonly verbose?: true;
  readonly brief?: true;
}

/**
 * Returns the text to print, and writes the page if one is requested.
 *
 * @param source options that name the source
 * @throws {OutputError}
 */
export function printedTriage(
  answer: TriageAnswer,
  options: TriagePrintOptions,
  { width, source, detail }: { readonly width: number | null; readonly source: string; readonly detail?: TriageDetail },
): string {
  if (options.html !== undefined)
    return writePage(
      options,
      source,
      (facts) => triageHtml(answer, detail, facts),
      () => summary(answer),
    );
  if (options.brief) return briefText(answer);
  return triageText(answer, { width, verbose: options.verbose, source, paint: painter() });
}

/** Prints an answer, and sets the exit status. */
export function presentTriage(
  answer: TriageAnswer,
  options: TriagePrintOptions,
  failing: FailOn | null,
  source: string,
): void {
  const isWhole = options.html === undefined && !options.brief && !options.verbose;
  present(answer, options, {
    toJson: triageJson,
    unsaid: ({ host, warnings }) => {
      const origin = isWhole && host?.pasted ? pastedWords(host.pasted).join('; ') : undefined;
      return warnings.filter(({ message }) => message !== origin);
    },
    toText: (result, width) => printedTriage(result, options, { width, source }),
  });
  if (failing && answer.findings.some((finding) => isFailing(failing, finding))) process.exitCode = EXIT.differs;
}
