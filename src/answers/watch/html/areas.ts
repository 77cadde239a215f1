import type { CategoryGroup } from '../../../account/memory/categories.js';
import type { WatchAnswer } from '../../../growth/watch/answer.js';
import type { GroupHistory } from '../../../growth/watch/categories.js';
import { type Html, html, raw } from '../../html/html.js';
import { categoryWords } from '../../memory/words.js';
import { formatSize } from '../../text/size.js';
import { pathOf, placeOf, runsOf, type Scale, valueAt } from './scale.js';

const [WIDTH, HEIGHT] = [960, 300];

/** The lowest first. */
const ORDER: readonly CategoryGroup[] = [
  'reserved',
  'kernel',
  'applications-and-files',
  'unknown',
  'free',
];

/** All memory over time, by groups one above the other. */
export function areasOverTime({ groups, growth: { machine } }: WatchAnswer): Html {
  const stacked = ORDER.flatMap((name) => groups.filter(({ group }) => group === name));
  const times = stacked.map(({ points }) => points.times).sort((a, b) => b.length - a.length)[0];
  if (!times || times.length < 2) return html`<p>There are too few samples for a picture.</p>`;
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
        ...at.map((one) => placeOf(scale, times[one] ?? 0, above?.[one] ?? 0)),
        ...at.reverse().map((one) => placeOf(scale, times[one] ?? 0, below?.[one] ?? 0)),
      ];
      return html`<polygon class="${group}" points="${raw(pathOf(places))}"/>\n`;
    });
  });
  const said = stacked.map(
    ({ group, points }) => `${categoryWords({ category: group })} ${range(points.values)}`,
  );
  const dateAt = (time: number) => new Date(machine.at.getTime() - 1000 * (machine.uptime - time));
  return html`${legend(stacked)}
<div class="over-time"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="All memory over time: ${said.join('; ')}.">
${areas}</svg></div>
<p class="times"><span>${stamp(dateAt(scale.from))}</span><span>${stamp(dateAt(scale.to))}</span></p>
<p class="faint">The whole height is ${formatSize(Math.round(scale.high))}. Where nothing is drawn there is no sample.</p>`;
}

/** Of each group, and all those below it. */
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
  const sizes = [Math.min(...values), Math.max(...values)].map((bytes) =>
    formatSize(Math.round(bytes)),
  );
  return sizes[0] === sizes[1] ? (sizes[0] ?? '') : sizes.join(' to ');
}

/** A store may tell of times that no calendar has. */
function stamp(date: Date): string {
  if (Number.isNaN(date.getTime())) return '?';
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Rules of the pictures; swatches and their colours are those of the treemap. */
export const AREAS_STYLE = `
.over-time { margin: 1rem 0 .25rem; border: 1px solid var(--line); }
.over-time svg { display: block; width: 100%; height: 16rem; print-color-adjust: exact; }
.over-time polygon { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
polygon.free { fill: var(--free); } polygon.applications-and-files { fill: var(--applications-and-files); }
polygon.kernel { fill: var(--kernel); } polygon.reserved { fill: var(--reserved); }
polygon.unknown { fill: var(--unknown); }
.times { display: flex; justify-content: space-between; max-width: none; margin: 0; }
.line { display: block; width: 12rem; height: 2.5rem; border-bottom: 1px solid var(--line); }
.line polyline { fill: none; stroke: var(--link); stroke-width: 2; vector-effect: non-scaling-stroke; }
`;
