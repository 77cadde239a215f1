import os from 'node:os';
import { listHtml } from '../../answers/html/list-page.js';
import { leaksBlocks } from '../../answers/leaks/text.js';
import { headline } from '../../answers/leaks/words.js';
import { shellWord } from '../../base/shell.js';
import type { LeaksAnswer } from '../../leaks/answer.js';
import { writePage } from '../kit/html-page.js';
import type { LeaksOptions } from './options.js';

/** Maximum number of stacks of a page. */
const PAGE_ROWS = 200;

/**
 * Writes the page of `leaks`. Earlier recordings name neither their machine nor their time.
 *
 * @returns the text to print
 * @throws {OutputError}
 */
export function writeLeaksPage(answer: LeaksAnswer, options: LeaksOptions): string {
  const { from, limit = PAGE_ROWS, type = 'page' } = options;
  const isLive = from === undefined;
  const page = {
    subject: 'Kernel memory that is not freed',
    host: isLive ? os.hostname() : null,
    release: isLive ? os.release() : null,
    at: isLive ? new Date() : null,
    headline: headline(answer),
    complete: answer.complete,
    warnings: [],
    blocks: leaksBlocks(answer, limit),
  };
  const source =
    from?.map((file) => `--from ${shellWord(file)}`).join(' ') ?? `leaks --type ${type}`;
  return writePage(
    options,
    source,
    (facts) => listHtml(page, facts),
    () => page.headline,
  );
}
