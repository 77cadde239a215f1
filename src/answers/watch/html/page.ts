import type { GrownProcess } from '../../../growth/answer.js';
import type { Points } from '../../../growth/points.js';
import type { GrownCategory } from '../../../growth/watch/categories.js';
import { type Html, html, raw, sentence } from '../../html/html.js';
import { missingSection } from '../../html/missing.js';
import { type PageFacts, pageHtml } from '../../html/page.js';
import { type HtmlColumn, htmlTable } from '../../html/table.js';
import { TREEMAP_STYLE } from '../../html/treemap.js';
import { formatSize } from '../../text/size.js';
import {
  CATEGORY_COLUMNS,
  headWords,
  PROCESS_COLUMNS,
  samplesWords,
  shownCategories,
} from '../text.js';
import { isComplete, type Watched } from '../watched.js';
import { doubtWords } from '../words.js';
import { AREAS_STYLE, areasOverTime } from './areas.js';
import { pathOf, placeOf, runsOf, type Scale } from './scale.js';

const [WIDTH, HEIGHT] = [200, 40];

/** One figure over time, from its least to its most; the figures beside it say how much that is. */
function lineOverTime({ times, values }: Points): Html {
  const scale: Scale = {
    from: times[0] ?? 0,
    to: times.at(-1) ?? 0,
    width: WIDTH,
    height: HEIGHT,
    low: Math.min(...values),
    high: Math.max(...values),
  };
  const lines = runsOf(times).map(([first, last]) => {
    const places = Array.from({ length: last - first + 1 }, (_, step) =>
      placeOf(scale, times[first + step] ?? 0, values[first + step] ?? 0),
    );
    return html`<polyline points="${raw(pathOf(places))}"/>`;
  });
  return html`<svg class="line" viewBox="0 -2 ${WIDTH} ${HEIGHT + 4}" preserveAspectRatio="none" aria-hidden="true">${lines}</svg>`;
}

/** What grew as one file that a browser shows: the categories over time. */
export function watchHtml(watched: Watched, facts: PageFacts, limit: number): string {
  const { answer, warnings } = watched;
  const [first = '', ...others] = headWords(answer);
  const doubts = answer.doubts.map(doubtWords);
  const told = others.filter((words) => !doubts.includes(words));
  const missed = [...doubts, ...warnings.map(({ message }) => message)].map(sentence);
  const body = html`<p><a class="skip" href="#categories">Go to the table of categories</a></p>
<p class="headline">${sentence(first)}</p>
${told.map((words) => html`<p>${sentence(words)}</p>`)}
${missingSection(isComplete(watched), missed)}
<h2>All memory over time</h2>
${areasOverTime(answer)}
<h2>Categories</h2>
${htmlTable<GrownCategory>({
  id: 'categories',
  caption:
    'What each category has, and how it changes a day. The rate lies between at least and at most.',
  columns: [...CATEGORY_COLUMNS.slice(0, 2), OVER_TIME, ...RANGE, ...CATEGORY_COLUMNS.slice(2)],
  rows: shownCategories(answer).slice(0, limit),
})}
<h2>Processes</h2>
${htmlTable<GrownProcess>({
  id: 'processes',
  caption: 'Anonymous and shared memory of those that hold most, in swap too.',
  columns: PROCESS_COLUMNS,
  about: 'COMMAND',
  rows: answer.growth.processes.slice(0, limit),
})}
<p>${sentence(samplesWords(answer))}</p>`;
  const about = html`<p>kdump-mem ${facts.version}, ${facts.made.toISOString().replace(/\.\d+/, '')}: <code>${sentence(facts.source)}</code>.</p>`;
  return pageHtml({
    title: 'What grows',
    style: `${TREEMAP_STYLE}${AREAS_STYLE}`,
    body,
    about,
  });
}

const OVER_TIME: HtmlColumn<GrownCategory> = {
  heading: 'Over time',
  markup: ({ points }) => lineOverTime(points),
};

const edge = (
  heading: string,
  of: (values: Float64Array) => number,
): HtmlColumn<GrownCategory> => ({
  heading,
  align: 'right',
  value: ({ points: { values } }) => formatSize(Math.round(of(values))),
});

const RANGE = [
  edge('Least', (values) => Math.min(...values)),
  edge('Most', (values) => Math.max(...values)),
];
