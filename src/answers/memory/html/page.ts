import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type Content, html, sentence } from '../../html/html.js';
import { missingSection } from '../../html/missing.js';
import { type PageFacts, pageHtml } from '../../html/page.js';
import { headline } from '../headline.js';
import { elsewhereWords, incompleteWords, looseWords, nextCommand } from '../sentences.js';
import { isFromProc } from '../source-words.js';
import { unflaggedWords } from '../unflagged-words.js';
import { categoriesTable } from './categories.js';
import { details } from './details.js';
import { drawnToScale } from './maps.js';

/** The memory breakdown as one HTML file. */
export function memoryHtml(answer: MemoryAnswer, { source, version, made }: PageFacts): string {
  const map = drawnToScale(answer);
  const next = isFromProc(answer)
    ? 'skcheck --stale'
    : `kdump-mem ${nextCommand(answer)} ${source}`;
  const body = html`<p><a class="skip" href="#categories">Go to the table of categories</a></p>
<p class="headline">${sentence(headline(answer))}</p>
${missing(answer)}
<h2>Drawn to scale</h2>
${map.markup}
<h2>Categories</h2>
${categoriesTable(answer)}
${[...looseWords(answer), ...unflaggedWords(answer), ...elsewhereWords(answer)].map((words) => html`<p>${sentence(words)}</p>`)}
<h2>Next command</h2>
<p><code>${sentence(next)}</code></p>
${details(answer)}`;
  const release = answer.kernel?.release ?? answer.host?.release;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}. Kernel ${release}, ${
    DEPTHS[answer.source]
  }: <code>${sentence(source)}</code>.</p>`;
  return pageHtml({
    title: 'Memory breakdown',
    style: map.style,
    body,
    about,
  });
}

const DEPTHS: Readonly<Record<MemoryAnswer['source'], string>> = {
  vmcore: 'every page frame of a dump',
  kcore: 'every page frame of a running machine',
  pageflags: 'page flags in /proc',
  counters: 'counters in /proc only',
};

/** Reasons why the answer is incomplete, before its figures. */
function missing(answer: MemoryAnswer): Content {
  const warnings: Content[] = answer.warnings.map(({ message }) => message);
  // Answers from counters have no warnings: each incomplete category has a reason.
  return missingSection(
    answer.complete,
    warnings.length > 0 ? warnings : incompleteWords(answer, true).map(sentence),
  );
}
