import { formatCount } from '../text/size.js';
import { type Content, html, raw } from './html.js';

const MOST = 50;

/** Reasons why an answer is incomplete, or warnings; undefined without any. */
export function missingSection(complete: boolean, all: readonly Content[]): Content {
  if (complete && all.length === 0) return undefined;
  const shown = all.slice(0, MOST).map((said) => html`<li>${said}</li>\n`);
  const left = all.length - MOST;
  const more = left > 0 ? html`<li>and ${formatCount(left)} more</li>` : undefined;
  const said = complete ? 'Warnings' : 'This answer is incomplete: it does not include everything';
  return html`<section${raw(complete ? '' : ' class="alarm"')} aria-labelledby="missing">
<h2 id="missing">${said}</h2>
<ul>${shown}${more}</ul>
</section>`;
}
