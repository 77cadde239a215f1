import { triageHtml } from '../report/triage/html/page.js';
import { summary } from '../report/triage/text.js';
import type { TriageDetail } from '../triage/detail.js';
import type { TriageAnswer } from '../triage/triage.js';
import { type PageOptions, writePage } from './html-page.js';

/**
 * Writes the page of `triage`.
 *
 * @returns what to print
 * @throws {OutputError}
 */
export function writeTriagePage(
  answer: TriageAnswer,
  detail: TriageDetail,
  options: PageOptions,
): string {
  return writePage(
    options,
    (facts) => triageHtml(answer, detail, facts),
    () => summary(answer),
  );
}
