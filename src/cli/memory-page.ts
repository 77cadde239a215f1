import type { MemoryAnswer } from '../account/memory/answer.js';
import { headline } from '../report/memory/headline.js';
import { memoryHtml } from '../report/memory/html/page.js';
import { type PageOptions, writePage } from './html-page.js';
import { type SourceOptions, sourceWords } from './kernel-source.js';

/**
 * Writes the page of `memory`.
 *
 * @returns what to print
 * @throws {OutputError}
 */
export function writeMemoryPage(
  answer: MemoryAnswer,
  options: PageOptions & SourceOptions,
): string {
  return writePage(
    options,
    sourceWords(options),
    (facts) => memoryHtml(answer, facts),
    () => headline(answer),
  );
}
