import { triageHtml } from '../../answers/triage/html/page.js';
import { summary } from '../../answers/triage/text.js';
import type { TriageDetail } from '../../triage/finding.js';
import type { TriageAnswer } from '../../triage/triage.js';
import { type PageOptions, writePage } from '../kit/html-page.js';
import { type SourceOptions, sourceWords } from '../kit/kernel-source.js';

/**
 * Writes the page of `triage`.
 *
 * @returns the text to print
 * @throws {OutputError}
 */
export function writeTriagePage(
  answer: TriageAnswer,
  detail: TriageDetail,
  options: PageOptions & SourceOptions,
): string {
  return writePage(
    options,
    sourceWords(options),
    (facts) => triageHtml(answer, detail, facts),
    () => summary(answer),
  );
}
