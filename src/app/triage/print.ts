import { pastedWords } from '../../answers/origin.js';
import { triageHtml } from '../../answers/triage/html/page.js';
import { triageJson } from '../../answers/triage/json.js';
import { briefText, summary, triageText } from '../../answers/triage/text.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { type FailOn, isFailing, type TriageDetail } from '../../triage/finding.js';
import { type AnswerOptions, present, type Words } from '../kit/answer.js';
import { EXIT } from '../kit/failure.js';
import { painter } from '../kit/terminal.js';

export interface TriagePrintOptions extends AnswerOptions {
  readonly verbose?: true;
  readonly brief?: true;
}

/**
 * Returns the output formats of an answer.
 *
 * @param source options that name the source
 * @param detailOf returns what only the page shows
 */
export function triageWords(
  options: TriagePrintOptions,
  source: string,
  detailOf?: () => TriageDetail | undefined,
): Words<TriageAnswer> {
  const { brief, verbose } = options;
  return {
    toJson: triageJson,
    toText: (answer, width) =>
      brief ? briefText(answer) : triageText(answer, { width, verbose, source, paint: painter() }),
    toPage: (answer) => ({
      source,
      headline: summary(answer),
      html: (facts) => triageHtml(answer, detailOf?.(), facts),
    }),
  };
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
    ...triageWords(options, source),
    unsaid: ({ host, warnings }) => {
      const origin = isWhole && host?.pasted ? pastedWords(host.pasted).join('; ') : undefined;
      return warnings.filter(({ message }) => message !== origin);
    },
  });
  if (failing && answer.findings.some((finding) => isFailing(failing, finding))) process.exitCode = EXIT.differs;
}
