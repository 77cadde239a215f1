import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type Content, type Html, html, raw, sentence } from '../../html/html.js';
import { pageHtml } from '../../html/page.js';
import { STRIP, TREEMAP_STYLE, type Treemap, treemapHtml } from '../../html/treemap.js';
import { formatCount, formatSize } from '../../text/size.js';
import { headline } from '../headline.js';
import { elsewhereWords, looseWords, missedWords, nextCommand } from '../sentences.js';
import { isOfProc } from '../told-by.js';
import { share } from '../tree-table.js';
import { unflaggedWords } from '../unflagged-words.js';
import { drawerWords } from '../words.js';
import { memoryArea } from './areas.js';
import { details } from './details.js';
import { drawersTable } from './drawers.js';

export interface MemoryPage {
  /** The options that name the dump; a line of shell words. */
  readonly source: string;
  readonly version: string;
  readonly made: Date;
}

/** The answer to `memory` as one file that a browser shows. */
export function memoryHtml(answer: MemoryAnswer, { source, version, made }: MemoryPage): string {
  const maps = mapsOf(answer);
  const next = isOfProc(answer) ? 'skcheck --stale' : `kdump-mem ${nextCommand(answer)} ${source}`;
  const body = html`<p><a class="skip" href="#drawers">Go to the table of drawers</a></p>
<p class="headline">${sentence(headline(answer))}</p>
${missing(answer)}
<h2>Drawn to scale</h2>
${legend(answer)}
${maps.map(({ markup }) => markup)}
<p class="faint">Above all of it, below what is not free. Boxes are as large as what they stand for; each leads
to its row.</p>
<h2>Drawers</h2>
${drawersTable(answer)}
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
    style: [TREEMAP_STYLE, ...maps.map((map) => map.style)].join(''),
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

/** All of it by groups, and what is not free down to its owners. */
function mapsOf(answer: MemoryAnswer): Treemap[] {
  const all = memoryArea(answer);
  const groups = { ...all, parts: all.parts.map((group) => ({ ...group, parts: [] })) };
  const used = all.parts.filter(({ colour }) => colour !== 'free');
  const bytes = used.reduce((sum, group) => sum + group.bytes, 0);
  return [
    treemapHtml({ id: 'all', name: 'All memory, by groups', whole: groups, shapes: STRIP }),
    treemapHtml({
      id: 'used',
      name: 'Memory that is not free, by drawers and owners',
      whole: { ...all, bytes, parts: used },
    }),
  ];
}

/** How much each group has, with its colour. */
function legend({ memory }: MemoryAnswer): Html {
  const items = memory.children
    .filter(({ frames, complete }) => frames > 0 || !complete)
    .map((group) => {
      const swatch = html`<span class="${raw(`swatch ${group.drawer}`)}"></span>`;
      const figures = `${formatSize(group.bytes)}, ${share(group.frames, memory.frames)}`;
      return html`<li>${swatch}${drawerWords(group)} ${figures}</li>\n`;
    });
  return html`<ul class="legend" role="list">${items}</ul>`;
}

const MOST_WARNINGS = 50;

/** What makes the answer incomplete, before anything that could be taken for whole. */
function missing(answer: MemoryAnswer): Content {
  const { complete } = answer;
  const warnings: Content[] = answer.warnings.map(({ message }) => message);
  // Counters come with no warnings: each drawer that they lack says so.
  const all = warnings.length > 0 ? warnings : missedWords(answer).map(sentence);
  if (complete && all.length === 0) return undefined;
  const shown = all.slice(0, MOST_WARNINGS).map((said) => html`<li>${said}</li>\n`);
  const left = all.length - MOST_WARNINGS;
  const more = left > 0 ? html`<li>and ${formatCount(left)} more</li>` : undefined;
  const said = complete
    ? 'What else was found'
    : 'This answer is not complete: its figures are what was found, not all there is';
  return html`<section${raw(complete ? '' : ' class="alarm"')} aria-labelledby="missing">
<h2 id="missing">${said}</h2>
<ul>${shown}${more}</ul>
</section>`;
}
