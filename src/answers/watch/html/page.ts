import type { GrownProcess } from '../../../growth/answer.js';
import type { Points } from '../../../growth/series.js';
import type { GrownCategory } from '../../../growth/watch/categories.js';
import { type Html, type HtmlColumn, html, htmlTable, raw, sentence } from '../../html/html.js';
import { missingSection, type PageFacts, pageHtml } from '../../html/page.js';
import { TREEMAP_STYLE } from '../../html/treemap.js';
import { formatSize } from '../../text/size.js';
import {
  CATEGORY_COLUMNS,
  headWords,
  PROCESS_COLUMNS,
  samplesWords,
  shownCategories,
} from '../render.js';
import { doubtWords, isComplete, type Watched } from '../words.js';
import { AREAS_STYLE, areasOverTime, pathOf, placeOf, runsOf, type Scale } from './areas.js';

const [WIDTH, HEIGHT] = [200, 40];

/** A line of one figure over time, with its minimum and maximum beside it. */
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

/** The growth as one HTML file: the categories over time. */
export function watchHtml(watched: Watched, facts: PageFacts, limit: number): string {
  const { answer, warnings } = watched;
  const [first = '', ...others] = headWords(answer);
  const doubts = answer.doubts.map(doubtWords);
  const further = others.filter((words) => !doubts.includes(words));
  const missed = [...doubts, ...warnings.map(({ message }) => message)].map(sentence);
  const body = html`<p><a class="skip" href="#categories">Go to the table of categories</a></p>
<p class="headline">${sentence(first)}</p>
${further.map((words) => html`<p>${sentence(words)}</p>`)}
${missingSection(isComplete(watched), missed)}
<h2>All memory over time</h2>
${areasOverTime(answer)}
<h2>Categories</h2>
${htmlTable<GrownCategory>({
  id: 'categories',
  caption:
    'Categories, and their change per day. RATE/DAY is between LOW and HIGH with 99 % confidence.',
  columns: [...CATEGORY_COLUMNS.slice(0, 2), OVER_TIME, ...RANGE, ...CATEGORY_COLUMNS.slice(2)],
  rows: shownCategories(answer).slice(0, limit),
})}
<h2>Processes</h2>
${htmlTable<GrownProcess>({
  id: 'processes',
  caption: 'Processes with the most anonymous and shared memory, including swap.',
  columns: PROCESS_COLUMNS,
  about: 'COMMAND',
  rows: answer.growth.processes.slice(0, limit),
})}
<p>${sentence(samplesWords(answer))}</p>`;
  const about = html`<p>kdump-mem ${facts.version}, ${facts.made.toISOString().replace(/\.\d+/, '')}: <code>${sentence(facts.source)}</code>.</p>`;
  return pageHtml({
    title: 'Memory growth',
    style: `${TREEMAP_STYLE}${AREAS_STYLE}`,
    body,
    about,
  });
}

const OVER_TIME: HtmlColumn<GrownCategory> = {
  heading: 'OVER TIME',
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
  edge('MIN', (values) => Math.min(...values)),
  edge('MAX', (values) => Math.max(...values)),
];
