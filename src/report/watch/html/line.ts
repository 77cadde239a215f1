import type { Points } from '../../../growth/points.js';
import { type Html, html, raw } from '../../html/html.js';
import { pathOf, placeOf, runsOf, type Scale } from './scale.js';

const [WIDTH, HEIGHT] = [200, 40];

/** One figure over time, from its least to its most; the figures beside it say how much that is. */
export function lineOverTime({ times, values }: Points): Html {
  const scale: Scale = {
    ...{ from: times[0] ?? 0, to: times.at(-1) ?? 0, width: WIDTH, height: HEIGHT },
    ...{ low: Math.min(...values), high: Math.max(...values) },
  };
  const lines = runsOf(times).map(([first, last]) => {
    const places = Array.from({ length: last - first + 1 }, (_, step) =>
      placeOf(scale, times[first + step] ?? 0, values[first + step] ?? 0),
    );
    return html`<polyline points="${raw(pathOf(places))}"/>`;
  });
  return html`<svg class="line" viewBox="0 -2 ${WIDTH} ${HEIGHT + 4}" preserveAspectRatio="none" aria-hidden="true">${lines}</svg>`;
}
