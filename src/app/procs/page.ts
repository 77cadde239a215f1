import type { ChosenProcs } from '../../account/processes/groups.js';
import { listHtml } from '../../answers/html/list-page.js';
import { procsHeadline, procsParts } from '../../answers/procs/document.js';
import { escapeText } from '../../base/escape.js';
import type { Page } from '../kit/html-page.js';
import { sourceWords } from '../kit/kernel-source.js';
import type { ProcsOptions } from './options.js';

/** Maximum number of rows of a page. */
const PAGE_ROWS = 200;

/**
 * Returns the page of `procs`.
 *
 * @param release kernel of a host; a dump reports its own
 */
export function procsPage(chosen: ChosenProcs, release: string | null, options: ProcsOptions): Page {
  const { origin, captured, kernel, complete, warnings } = chosen.answer;
  const { limit = PAGE_ROWS, verbose, by } = options;
  const page = {
    subject: 'Processes',
    host: origin?.host ?? captured?.host ?? null,
    release: kernel?.release ?? release,
    at: origin?.at ?? captured?.takenAt ?? null,
    headline: procsHeadline(chosen),
    complete,
    warnings: warnings.map(({ message }) => escapeText(message)),
    blocks: procsParts(chosen, { limit, verbose, by }),
  };
  return { source: sourceWords(options), headline: page.headline, html: (facts) => listHtml(page, facts) };
}
