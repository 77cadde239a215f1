import type { Column } from '../text/table.js';
import { type Content, type Html, html, raw, sentence } from './html.js';

/** A column of a page's table: that of a table of text, or one whose cells have markup. */
export type HtmlColumn<Row> =
  | Pick<Column<Row>, 'heading' | 'align' | 'value'>
  | { readonly heading: string; readonly markup: (row: Row) => Html };

/** What a row is besides its cells. */
export interface RowFacts {
  /** To lead to it; ours. */
  readonly id?: string;
  /** A row that others are part of, or a part. */
  readonly level?: 'group' | 'within';
}

export interface HtmlTable<Row> {
  /** For the caption to name the region that the table scrolls in; ours. */
  readonly id: string;
  readonly caption: Content;
  readonly columns: readonly HtmlColumn<Row>[];
  /** The heading of the column that says what a row is about; unless told, the first. */
  readonly about?: string;
  readonly rows: readonly Row[];
  readonly facts?: (row: Row) => RowFacts;
}

/**
 * A table, one of whose columns heads its rows. Where it is wider than the window it scrolls for itself, by
 * keys too, so that the page never does.
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
    const cells = columns.map((column) => cell(column, row, column.heading === about));
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

function cell<Row>(column: HtmlColumn<Row>, row: Row, heads: boolean): Html {
  const content = 'markup' in column ? column.markup(row) : sentence(column.value(row).trim());
  const named = attribute('class', kind(column));
  return heads ? html`<th scope="row"${named}>${content}</th>` : html`<td${named}>${content}</td>`;
}

/** Figures stand at the right and are not broken; long text is. */
function kind<Row>(column: HtmlColumn<Row>): string | undefined {
  if ('markup' in column) return 'text';
  return column.align === 'right' ? 'figure' : undefined;
}

/** Headings of tables of text are in capitals. */
function words({ heading }: { readonly heading: string }): string {
  return heading.slice(0, 1) + heading.slice(1).toLowerCase();
}

/** @param value ours */
function attribute(name: string, value: string | undefined): Html | undefined {
  return value === undefined ? undefined : raw(` ${name}="${value}"`);
}
