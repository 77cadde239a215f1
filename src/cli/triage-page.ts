import { triageHtml } from '../report/triage/html/page.js';
import { summary } from '../report/triage/text.js';
import type { TriageDetail } from '../triage/detail.js';
import type { TriageAnswer } from '../triage/triage.js';
import { type PageOptions, writePage } from './html-page.js';
import { type SourceOptions, sourceWords } from './kernel-source.js';

/**
 * Writes the page of `triage`.
 *
 * @returns what to print
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
