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
<p class="faint">The upper map shows all memory, the lower one memory in use. Areas are to scale; each links to its
row.</p>`;
  return { markup, style: [TREEMAP_STYLE, ...maps.map((map) => map.style)].join('') };
}

/** All memory by group, and memory in use by owner. */
function mapsOf(answer: MemoryAnswer): Treemap[] {
  const all = memoryArea(answer);
  const groups = { ...all, parts: all.parts.map((group) => ({ ...group, parts: [] })) };
  const used = all.parts.filter(({ colour }) => colour !== 'free');
  const bytes = used.reduce((sum, group) => sum + group.bytes, 0);
  return [
    treemapHtml({ id: 'all', name: 'All memory, by group', whole: groups, shapes: STRIP }),
    treemapHtml({
      id: 'used',
      name: 'Memory in use, by category and owner',
      whole: { ...all, bytes, parts: used },
    }),
  ];
}

/** Size and colour of each group. */
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
