import { escapeText } from '../../base/escape.js';
import type { Column } from '../text/table.js';

/** Markup that is safe to print; only functions of this file create it. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

/** Content of markup; text is escaped, undefined prints nothing. */
export type Content = Html | string | number | undefined | readonly Content[];

/**
 * Template tag for markup. Text from a dump is untrusted, so all interpolated text is escaped: first for a
 * terminal (invisible and reordering characters become `\u{202e}`), then for HTML. This also holds in
 * attributes, which must be quoted.
 */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  const filled = contents.map((content, index) => markupOf(content) + (parts[index + 1] ?? ''));
  return new Html((parts[0] ?? '') + filled.join(''));
}

/** Trusted markup, written by this program. */
export function raw(markup: string): Html {
  return new Html(markup);
}

/**
 * Wraps sentences that {@link escapeText} already escaped, or would corrupt: they are escaped for HTML only.
 */
export function sentence(text: string): Html {
  return new Html(escapeHtml(text));
}

function markupOf(content: Content): string {
  if (content === undefined) return '';
  if (content instanceof Html) return content.markup;
  if (Array.isArray(content)) return content.map(markupOf).join('');
  return escapeHtml(escapeText(String(content)));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}

/** Column of an HTML table: a column of a text table, or one whose cells are markup. */
export type HtmlColumn<Row> =
  | Pick<Column<Row>, 'heading' | 'align' | 'value'>
  | { readonly heading: string; readonly markup: (row: Row) => Html };

/** Properties of a row other than its cells. */
export interface RowFacts {
  /** Anchor for links to the row; trusted. */
  readonly id?: string;
  /** `group`: the row has parts; `within`: the row is a part. */
  readonly level?: 'group' | 'within';
}

export interface HtmlTable<Row> {
  /** Id with which the caption labels the scrolling region of the table; trusted. */
  readonly id: string;
  readonly caption: Content;
  readonly columns: readonly HtmlColumn<Row>[];
  /** Heading of the column that names the row; default: the first. */
  readonly about?: string;
  readonly rows: readonly Row[];
  readonly facts?: (row: Row) => RowFacts;
}

/**
 * Returns a table in which one column is the row header. A table wider than the window scrolls separately,
 * also with the keyboard, so that the page itself never scrolls sideways.
 */
export function htmlTable<Row>({
  id,
  caption,
  columns,
  about = columns[0]?.heading,
  rows,
  facts = () => ({}),
}: HtmlTable<Row>): Html {
  const lines = rows.map((row) => {
    const { id: anchor, level } = facts(row);
    const cells = columns.map((column) => cell(column, row, column.heading === about, level));
    return html`<tr${attribute('id', anchor)}${attribute('class', level)}>${cells}</tr>\n`;
  });
  const headings = columns.map(
    (column) => html`<th scope="col"${attribute('class', kind(column))}>${words(column)}</th>`,
  );
  return html`<div class="scrolls" role="region" tabindex="0" aria-labelledby="${id}">
<table>
<caption id="${id}">${caption}</caption>
<thead><tr>${headings}</tr></thead>
<tbody>
${lines}</tbody>
</table>
</div>`;
}

function cell<Row>(column: HtmlColumn<Row>, row: Row, heads: boolean, level?: string): Html {
  const content = 'markup' in column ? column.markup(row) : indented(column, row, level);
  const named = attribute('class', kind(column));
  return heads ? html`<th scope="row"${named}>${content}</th>` : html`<td${named}>${content}</td>`;
}

/** Keeps the indentation of text, unless the row has its own. */
function indented<Row>({ align, value }: Column<Row>, row: Row, level?: string): Content {
  const text = value(row);
  const depth = align === 'right' || level !== undefined ? 0 : text.length - text.trimStart().length;
  return [raw('&nbsp;'.repeat(depth)), sentence(text.trim())];
}

/** Returns the CSS class of a column: figures are right-aligned and not wrapped, long text is wrapped. */
function kind<Row>(column: HtmlColumn<Row>): string | undefined {
  if ('markup' in column) return 'text';
  return column.align === 'right' ? 'figure' : undefined;
}

const ABBREVIATIONS = /\b(?:pid|uss|pss|rss|oom)\b/gi;

/** Returns the heading of a column; headings of text tables are in capitals. */
function words({ heading }: { readonly heading: string }): string {
  const text = heading.slice(0, 1) + heading.slice(1).toLowerCase();
  return text.replace(ABBREVIATIONS, (word) => word.toUpperCase());
}

/** @param value trusted */
function attribute(name: string, value: string | undefined): Html | undefined {
  return value === undefined ? undefined : raw(` ${name}="${value}"`);
}
