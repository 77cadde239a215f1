import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type Content, html, sentence } from '../../html/html.js';
import { missingSection } from '../../html/missing.js';
import { type PageFacts, pageHtml } from '../../html/page.js';
import { headline } from '../headline.js';
import { elsewhereWords, looseWords, missedWords, nextCommand } from '../sentences.js';
import { isOfProc } from '../told-by.js';
import { unflaggedWords } from '../unflagged-words.js';
import { categoriesTable } from './categories.js';
import { details } from './details.js';
import { drawnToScale } from './maps.js';

/** The answer to `memory` as one file that a browser shows. */
export function memoryHtml(answer: MemoryAnswer, { source, version, made }: PageFacts): string {
  const map = drawnToScale(answer);
  const next = isOfProc(answer) ? 'skcheck --stale' : `kdump-mem ${nextCommand(answer)} ${source}`;
  const body = html`<p><a class="skip" href="#categories">Go to the table of categories</a></p>
<p class="headline">${sentence(headline(answer))}</p>
${missing(answer)}
<h2>Drawn to scale</h2>
${map.markup}
<h2>Categories</h2>
${categoriesTable(answer)}
${[...looseWords(answer), ...unflaggedWords(answer), ...elsewhereWords(answer)].map((words) => html`<p>${sentence(words)}</p>`)}
<h2>What to ask next</h2>
<p><code>${sentence(next)}</code></p>
${details(answer)}`;
  const release = answer.kernel?.release ?? answer.host?.release;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}. Kernel ${release}, ${
    DEPTHS[answer.source]
  }: <code>${sentence(source)}</code>.</p>`;
  return pageHtml({
    title: 'Where the memory is',
    style: map.style,
    body,
    about,
  });
}

const DEPTHS: Readonly<Record<MemoryAnswer['source'], string>> = {
  vmcore: 'every page frame of a dump',
  kcore: 'every page frame of this machine, while it ran',
  pageflags: 'flags of page frames in /proc',
  counters: 'counters of this machine’s /proc alone',
};

/** What makes the answer incomplete, before anything that could be taken for whole. */
function missing(answer: MemoryAnswer): Content {
  const warnings: Content[] = answer.warnings.map(({ message }) => message);
  // Counters come with no warnings: each category that they lack says so.
  return missingSection(
    answer.complete,
    warnings.length > 0 ? warnings : missedWords(answer).map(sentence),
  );
}
