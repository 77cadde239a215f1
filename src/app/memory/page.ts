import type { MemoryAnswer } from '../../account/memory/answer.js';
import { memoryHtml } from '../../answers/memory/html/page.js';
import { headline } from '../../answers/memory/sentences.js';
import { type PageOptions, writePage } from '../kit/html-page.js';
import { type SourceOptions, sourceWords } from '../kit/kernel-source.js';

/**
 * Writes the page of `memory`.
 *
 * @returns the text to print
 * @throws {OutputError}
 */
export function writeMemoryPage(answer: MemoryAnswer, options: PageOptions & SourceOptions): string {
  return writePage(
    options,
    sourceWords(options),
    (facts) => memoryHtml(answer, facts),
    () => headline(answer),
  );
}
