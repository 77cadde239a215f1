import type { MemoryAnswer } from '../../account/memory/answer.js';
import { memoryHtml } from '../../answers/memory/html/page.js';
import { headline } from '../../answers/memory/sentences.js';
import type { Page } from '../kit/html-page.js';
import { type SourceOptions, sourceWords } from '../kit/kernel-source.js';

/** Returns the page of `memory`. */
export function memoryPage(answer: MemoryAnswer, options: SourceOptions): Page {
  return { source: sourceWords(options), headline: headline(answer), html: (facts) => memoryHtml(answer, facts) };
}
