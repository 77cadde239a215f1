import { categoryWords } from '../../../account/memory/category-names.js';
import { formatSize } from '../../../base/size.js';
import type { GrownProcess } from '../../../contracts/growth.js';
import type { GrownDevice } from '../../../contracts/watch.js';
import type { Points } from '../../../growth/series.js';
import type { GroupHistory, GrownCategory, WatchAnswer } from '../../../growth/watch/answer.js';
import type { CategoryGroup } from '../../../records/categories.js';
import { type Html, type HtmlColumn, html, htmlTable, raw, sentence } from '../../html/html.js';
import { missingSection, type PageFacts, pageHtml, pageTitle } from '../../html/page.js';
import { TREEMAP_STYLE } from '../../html/treemap.js';
import {
  CATEGORY_COLUMNS,
  DEVICE_COLUMNS,
  headWords,
  processColumns,
  samplesWords,
  shownCategories,
} from '../render.js';
import { doubtWords, isComplete, type Watched } from '../words.js';

const LINE = { width: 200, height: 40 };

/** A line of one figure over time, with its minimum and maximum beside it. */
function lineOverTime({ times, values }: Points): Html {
  const scale: Scale = {
    from: times[0] ?? 0,
    to: times.at(-1) ?? 0,
    ...LINE,
    low: Math.min(...values),
    high: Math.max(...values),
  };
  const lines = runsOf(times).map(([first, last]) => {
    const places = Array.from({ length: last - first + 1 }, (_, step) =>
      placeOf(scale, times[first + step] ?? 0, values[first + step] ?? 0),
    );
    return html`<polyline points="${raw(pathOf(places))}"/>`;
  });
  return html`<svg class="line" viewBox="0 -2 ${LINE.width} ${LINE.height + 4}" preserveAspectRatio="none" aria-hidden="true">${lines}</svg>`;
}

/** The growth as one HTML file: the categories over time. */
export function watchHtml(watched: Watched, facts: PageFacts, limit: number): string {
  const { answer, warnings } = watched;
  const { host, at } = answer.growth.machine;
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
  caption: 'Categories, and their change per day. RATE/DAY is between LOW and HIGH with 99 % confidence.',
  columns: [...CATEGORY_COLUMNS.slice(0, 2), OVER_TIME, ...RANGE, ...CATEGORY_COLUMNS.slice(2)],
  rows: shownCategories(answer).slice(0, limit),
})}
${answer.devices.length === 0 ? [] : devicesSection(answer, limit)}
<h2>Processes</h2>
${htmlTable<GrownProcess>({
  id: 'processes',
  caption: 'Processes with the most anonymous and shared memory, including swap.',
  columns: processColumns(answer.growth.processes),
  about: 'COMMAND',
  rows: answer.growth.processes.slice(0, limit),
})}
<p>${sentence(samplesWords(answer))}</p>`;
  const about = html`<p>kdump-mem ${facts.version}, ${facts.made.toISOString().replace(/\.\d+/, '')}: <code>${sentence(facts.source)}</code>.</p>`;
  return pageHtml({
    title: pageTitle('Memory growth', { host, release: null, at }),
    style: `${TREEMAP_STYLE}${AREAS_STYLE}`,
    body,
    about,
  });
}

function devicesSection({ devices }: WatchAnswer, limit: number): Html {
  return html`<h2>Rings, pins and buffers</h2>
${htmlTable<GrownDevice>({
  id: 'devices',
  caption: 'Rings, pinned memory and buffers of devices at the last sample. Categories contain this memory.',
  columns: DEVICE_COLUMNS,
  rows: devices.slice(0, limit),
})}`;
}

const OVER_TIME: HtmlColumn<GrownCategory> = { heading: 'OVER TIME', markup: ({ points }) => lineOverTime(points) };

const edge = (heading: string, of: (values: Float64Array) => number): HtmlColumn<GrownCategory> => ({
  heading,
  align: 'right',
  value: ({ points: { values } }) => formatSize(Math.round(of(values))),
});

const RANGE = [edge('MIN', (values) => Math.min(...values)), edge('MAX', (values) => Math.max(...values))];

const [WIDTH, HEIGHT] = [960, 300];

/** The lowest first. */
const ORDER: readonly CategoryGroup[] = ['reserved', 'kernel', 'applications-and-files', 'unknown', 'free'];

/** Stacked areas of all memory over time, by group. */
function areasOverTime({ groups, growth: { machine } }: WatchAnswer): Html {
  const stacked = ORDER.flatMap((name) => groups.filter(({ group }) => group === name));
  const times = stacked.map(({ points }) => points.times).sort((a, b) => b.length - a.length)[0];
  if (!times || times.length < 2) return html`<p>Too few samples for a chart.</p>`;
  const tops = heights(stacked, times);
  const scale: Scale = {
    from: times[0] ?? 0,
    to: times.at(-1) ?? 0,
    low: 0,
    width: WIDTH,
    height: HEIGHT,
    high: Math.max(1, ...(tops.at(-1) ?? [])),
  };
  const runs = runsOf(times);
  const areas = stacked.map(({ group }, index) => {
    const [above, below] = [tops[index], tops[index - 1]];
    return runs.map(([first, last]) => {
      const at = Array.from({ length: last - first + 1 }, (_, step) => first + step);
      const places = [
        ...at.map((index) => placeOf(scale, times[index] ?? 0, above?.[index] ?? 0)),
        ...at.reverse().map((index) => placeOf(scale, times[index] ?? 0, below?.[index] ?? 0)),
      ];
      return html`<polygon class="${group}" points="${raw(pathOf(places))}"/>\n`;
    });
  });
  const ranges = stacked.map(({ group, points }) => `${categoryWords({ category: group })} ${range(points.values)}`);
  const dateAt = (time: number) => new Date(Date.parse(machine.at) - 1000 * (machine.uptimeSeconds - time));
  return html`${legend(stacked)}
<div class="over-time"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="All memory over time: ${ranges.join('; ')}.">
${areas}</svg></div>
<p class="times"><span>${stamp(dateAt(scale.from))}</span><span>${stamp(dateAt(scale.to))}</span></p>
<p class="faint">Full height: ${formatSize(Math.round(scale.high))}. Gaps: no samples.</p>`;
}

/** Heights of each group, including all groups below it. */
function heights(stacked: readonly GroupHistory[], times: Float64Array): Float64Array[] {
  const sums = new Float64Array(times.length);
  return stacked.map(({ points }) => {
    for (const [at, time] of times.entries()) sums[at] = (sums[at] ?? 0) + valueAt(points, time);
    return sums.slice();
  });
}

function legend(stacked: readonly GroupHistory[]): Html {
  const items = [...stacked].reverse().map(({ group, points }) => {
    const swatch = html`<span class="${raw(`swatch ${group}`)}"></span>`;
    return html`<li>${swatch}${categoryWords({ category: group })} ${range(points.values)}</li>\n`;
  });
  return html`<ul class="legend" role="list">${items}</ul>`;
}

/** `4.10 GiB to 5.30 GiB`. */
function range(values: Float64Array): string {
  const sizes = [Math.min(...values), Math.max(...values)].map((bytes) => formatSize(Math.round(bytes)));
  return sizes[0] === sizes[1] ? (sizes[0] ?? '') : sizes.join(' to ');
}

/** A store may contain invalid times. */
function stamp(date: Date): string {
  if (Number.isNaN(date.getTime())) return '?';
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Rules of the pictures; swatches and their colours are those of the treemap. */
const AREAS_STYLE = `
.over-time { margin: 1rem 0 .25rem; border: 1px solid var(--line); }
.over-time svg { display: block; width: 100%; height: 16rem; print-color-adjust: exact; }
.over-time polygon { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
polygon { fill: var(--box); }
.times { display: flex; justify-content: space-between; max-width: none; margin: 0; }
.line { display: block; width: 12rem; height: 2.5rem; border-bottom: 1px solid var(--line); }
.line polyline { fill: none; stroke: var(--link); stroke-width: 2; vector-effect: non-scaling-stroke; }
`;

/** A place in a picture; y grows downwards. */
interface Place {
  readonly x: number;
  readonly y: number;
}

/** Scales of times and bytes in a picture. */
interface Scale {
  readonly from: number;
  readonly to: number;
  /** Bytes at the lower and the upper edge. */
  readonly low: number;
  readonly high: number;
  readonly width: number;
  readonly height: number;
}

function placeOf({ from, to, low, high, width, height }: Scale, time: number, bytes: number): Place {
  return {
    x: to > from ? ((time - from) / (to - from)) * width : 0,
    y: high > low ? height * (1 - (bytes - low) / (high - low)) : height / 2,
  };
}

/** As attributes have it: a tenth of a unit is less than a pixel. */
function pathOf(places: readonly Place[]): string {
  return places.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
}

/** A gap longer than this interrupts a line. */
const APART = 2.5;

/** First and last index of each run of points without a gap within. */
function runsOf(times: Float64Array): (readonly [number, number])[] {
  const steps = Float64Array.from({ length: Math.max(0, times.length - 1) }, (_, at) => stepAt(times, at));
  const usual = steps.toSorted()[steps.length >> 1] ?? 0;
  const runs: (readonly [number, number])[] = [];
  let begun = 0;
  for (let at = 0; at < times.length; at++) {
    if (at + 1 < times.length && stepAt(times, at) <= APART * usual) continue;
    runs.push([begun, at]);
    begun = at + 1;
  }
  return runs;
}

function stepAt(times: Float64Array, at: number): number {
  return (times[at + 1] ?? 0) - (times[at] ?? 0);
}

/** Value of a line at a time: interpolated between two points, constant beyond its ends. */
function valueAt({ times, values }: Points, time: number): number {
  const next = times.findIndex((sampled) => sampled >= time);
  if (next < 0) return values.at(-1) ?? 0;
  if (next === 0) return values[0] ?? 0;
  const [before, after] = [times[next - 1] ?? 0, times[next] ?? 0];
  const part = (time - before) / (after - before);
  return (values[next - 1] ?? 0) * (1 - part) + (values[next] ?? 0) * part;
}
