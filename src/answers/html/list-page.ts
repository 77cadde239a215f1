import type { Block } from '../text/blocks.js';
import { type Content, html, htmlTable, sentence } from './html.js';
import { missingSection, type PageFacts, pageHtml, pageTitle, type TitleFacts } from './page.js';

/** An answer that consists of sentences and tables. */
export interface ListPage extends TitleFacts {
  /** What the page shows, such as `Processes`. */
  readonly subject: string;
  readonly headline: string;
  readonly complete: boolean;
  /** Warnings, escaped. */
  readonly warnings: readonly string[];
  readonly blocks: readonly Block[];
}

/** Returns the answer as one HTML file. */
export function listHtml(page: ListPage, { source, version, made }: PageFacts): string {
  const { headline, complete, warnings, blocks } = page;
  const drawn = blocks.map((block, index): Content => {
    if (typeof block === 'string') return html`<p>${sentence(block)}</p>`;
    if ('lines' in block) {
      const heading = block.heading === '' ? undefined : html`<p>${sentence(block.heading)}</p>`;
      return [heading, html`<pre>${sentence(block.lines.join('\n'))}</pre>`];
    }
    const below = block.below === '' ? undefined : html`<p>${sentence(block.below)}</p>`;
    if ('items' in block) {
      const items = block.items.map(({ size, words }) => html`<li>${size} ${sentence(words)}</li>`);
      return [html`<p>${sentence(block.heading)}</p><ul>${items}</ul>`, below];
    }
    const table = block.draw((columns, rows) =>
      htmlTable({ id: `table-${index}`, caption: sentence(block.caption), columns, rows }),
    );
    return [table, below];
  });
  const body = html`<p class="headline">${sentence(headline)}</p>
${missingSection(complete, warnings.map(sentence))}
${drawn}`;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}: <code>${sentence(source)}</code>.</p>`;
  return pageHtml({ title: pageTitle(page.subject, page), body, about });
}
