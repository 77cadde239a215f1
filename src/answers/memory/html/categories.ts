import type { MemoryAnswer } from '../../../account/memory/answer.js';
import type { Owner } from '../../../account/memory/category.js';
import { type Html, html, sentence } from '../../html/html.js';
import { type HtmlColumn, htmlTable } from '../../html/table.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type TreeRow, treeColumns, treeRows } from '../tree-table.js';
import { categoryWords, ownerWords } from '../words.js';
import { anchorOf } from './areas.js';

/** All categories with owners and counters: the treemap as a table. */
export function categoriesTable(answer: MemoryAnswer): Html {
  const known = treeColumns(answer, true).filter(({ heading }) => heading !== 'LARGEST OWNERS');
  return htmlTable<TreeRow>({
    id: 'categories',
    caption:
      'Memory by category. The rows of a group sum to the group, and the groups to the total, to the byte.',
    columns: [...known.slice(0, SIZES), OWNERS, ...known.slice(SIZES), DIFFERENCE, EXACT],
    rows: [{ category: answer.memory, depth: 0 }, ...treeRows(answer)],
    facts: ({ category, depth }) => ({
      id: anchorOf(category),
      level: category.children.length > 0 ? 'group' : depth > 0 ? 'within' : 'group',
    }),
  });
}

/** Name and size columns; owners come next. */
const SIZES = 3;

const EXACT: HtmlColumn<TreeRow> = {
  heading: 'Exact bytes',
  align: 'right',
  value: ({ category }) => formatCount(category.bytes),
};

const DIFFERENCE: HtmlColumn<TreeRow> = {
  heading: 'Difference from counter',
  align: 'right',
  value: ({ category: { bytes, counterBytes } }) =>
    counterBytes === null ? '' : signed(bytes - counterBytes),
};

function signed(bytes: number): string {
  return bytes < 0 ? `−${formatCount(-bytes)}` : formatCount(bytes);
}

const SHOWN = 3;

const OWNERS: HtmlColumn<TreeRow> = {
  heading: 'Largest owners',
  markup: ({ category }) => {
    const [first, others] = [category.owners.slice(0, SHOWN), category.owners.slice(SHOWN)];
    const incomplete = category.children.length === 0 && category.why !== undefined;
    const why = incomplete ? html`<strong>Incomplete:</strong> ${category.why} ` : '';
    const more =
      others.length > 0
        ? html`<details><summary>${others.length} more in ${categoryWords(category)}</summary>${names(others)}</details>`
        : '';
    return html`${why}${names(first)}${more}`;
  },
};

function names(owners: readonly Owner[]): Html {
  const words = owners.map((owner) => `${ownerWords(owner)} ${formatSize(owner.bytes)}`);
  return sentence(words.join(', '));
}
