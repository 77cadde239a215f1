import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type Html, html, raw } from '../../html/html.js';
import { STRIP, TREEMAP_STYLE, type Treemap, treemapHtml } from '../../html/treemap.js';
import { formatSize } from '../../text/size.js';
import { share } from '../tree-table.js';
import { categoryWords } from '../words.js';
import { memoryArea } from './areas.js';

/** Memory drawn to scale, with the rules that the picture needs. */
export function drawnToScale(answer: MemoryAnswer): Treemap {
  const maps = mapsOf(answer);
  const markup = html`${legend(answer)}
${maps.map((map) => map.markup)}
<p class="faint">Above all of it, below what is not free. Boxes are as large as what they stand for; each leads
to its row.</p>`;
  return { markup, style: [TREEMAP_STYLE, ...maps.map((map) => map.style)].join('') };
}

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
      name: 'Memory that is not free, by categories and owners',
      whole: { ...all, bytes, parts: used },
    }),
  ];
}

/** How much each group has, with its colour. */
function legend({ memory }: MemoryAnswer): Html {
  const items = memory.children
    .filter(({ frames, complete }) => frames > 0 || !complete)
    .map((group) => {
      const swatch = html`<span class="${raw(`swatch ${group.category}`)}"></span>`;
      const figures = `${formatSize(group.bytes)}, ${share(group.frames, memory.frames)}`;
      return html`<li>${swatch}${categoryWords(group)} ${figures}</li>\n`;
    });
  return html`<ul class="legend" role="list">${items}</ul>`;
}
