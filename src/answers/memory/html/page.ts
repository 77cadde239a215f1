import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { categoryWords } from '../../../account/memory/category-names.js';
import { leaves, type Owner } from '../../../account/memory/tree.js';
import { formatCount, formatSize } from '../../../base/size.js';
import {
  type Content,
  type Html,
  type HtmlColumn,
  type HtmlTable,
  html,
  htmlTable,
  raw,
  sentence,
} from '../../html/html.js';
import { missingSection, type PageFacts, pageHtml, pageTitle } from '../../html/page.js';
import { STRIP, TREEMAP_STYLE, type Treemap, treemapHtml } from '../../html/treemap.js';
import { SOCKET_COLUMNS } from '../../sockets/document.js';
import { CACHE_COLUMNS, CALLER_COLUMNS, ZONES, zoneColumns } from '../depths/tables.js';
import { namedWords } from '../named.js';
import {
  elsewhereWords,
  headline,
  incompleteWords,
  isUncounted,
  largestOwner,
  looseWords,
  nextCommand,
  nextOfProc,
  pipeWords,
  sizeWords,
  socketWords,
  unflaggedWords,
} from '../sentences.js';
import { type TreeRow, treeColumns, treeRows } from '../tree-table.js';
import { isFromProc, isUpperBound, ownerAmount, ownerWords, share, sourceText } from '../words.js';
import { anchorOf, memoryArea } from './areas.js';

/** Returns the memory breakdown as one HTML file. */
export function memoryHtml(answer: MemoryAnswer, { source, version, made }: PageFacts): string {
  const map = drawnToScale(answer);
  const next = isFromProc(answer) ? nextOfProc(answer, source) : `${nextCommand(answer)} ${source}`;
  const body = html`<p><a class="skip" href="#categories">Go to the table of categories</a></p>
<p class="headline">${sentence(`${headline(answer)}${sourceText(answer)}`)}</p>
${largeFigures(answer)}
${missing(answer)}
<h2>Drawn to scale</h2>
${map.markup}
<h2>Categories</h2>
${categoriesTable(answer)}
${[...looseWords(answer), ...unflaggedWords(answer), ...elsewhereWords(answer), ...pipeWords(answer), ...socketWords(answer, { verbose: true, source }), ...namedWords(answer, true)].map((words) => html`<p>${sentence(words)}</p>`)}
${
  next === undefined
    ? ''
    : html`<h2>Next command</h2>
<p><code>${sentence(next)}</code></p>`
}
${details(answer)}`;
  const release = answer.kernel?.release ?? answer.host?.release;
  const about = html`<p>kdump-mem ${version}, ${made.toISOString().replace(/\.\d+/, '')}. Kernel ${release}, ${
    DEPTHS[answer.source]
  }: <code>${sentence(source)}</code>.</p>`;
  return pageHtml({
    title: pageTitle('Memory breakdown', {
      host: answer.origin?.host ?? answer.captured?.host ?? null,
      release: release ?? null,
      at: answer.origin?.at ?? answer.captured?.takenAt ?? null,
    }),
    style: map.style,
    body,
    about,
  });
}

/** Returns the size of all memory, of what is free and unattributed, and of the largest owner. */
export function largeFigures(answer: MemoryAnswer): Html {
  const [all, largest] = [leaves(answer.memory), largestOwner(answer)];
  const bound = largest && isUpperBound(answer, largest.category) ? '≤ ' : '';
  const unattributed = all.find(({ category }) => category === 'unattributed');
  const free = answer.memory.children.find(({ category }) => category === 'free');
  const figures = [
    ['total', formatSize(answer.memory.bytes)],
    ...(free && !isUncounted(answer, free) ? [['free', sizeWords(answer, free)]] : []),
    ...(unattributed ? [['unattributed', sizeWords(answer, unattributed)]] : []),
    ...(largest ? [[`largest owner: ${ownerWords(largest.owner)}`, `${bound}${formatSize(largest.owner.bytes)}`]] : []),
  ];
  const items = figures.map(
    ([name = '', size = '']) => html`<div><dt>${sentence(name)}</dt><dd>${sentence(size)}</dd></div>\n`,
  );
  return html`<dl class="figures">${items}</dl>`;
}

const DEPTHS: Readonly<Record<MemoryAnswer['source'], string>> = {
  vmcore: 'every page frame of a dump',
  kcore: 'every page frame of a running machine',
  pageflags: 'page flags in /proc',
  counters: 'counters in /proc only',
};

/** Returns the reasons why the answer is incomplete; they precede its figures. */
function missing(answer: MemoryAnswer): Content {
  const warnings: Content[] = answer.warnings.map(({ message }) => message);
  // In answers from /proc each incomplete category has a reason, beside warnings.
  const reasons = isFromProc(answer) ? incompleteWords(answer, true).map(sentence) : [];
  return missingSection(answer.complete, [...warnings, ...reasons]);
}

/** Returns a treemap of memory, with its style rules. */
export function drawnToScale(answer: MemoryAnswer): Treemap {
  const maps = mapsOf(answer);
  const markup = html`${legend(answer)}
${maps.map((map) => map.markup)}
<p class="faint">The upper map shows all memory, the lower one memory in use. Areas are to scale; each links to its
row.</p>`;
  return { markup, style: [TREEMAP_STYLE, ...maps.map((map) => map.style)].join('') };
}

/** Returns treemaps of all memory by group, and of used memory by owner. */
function mapsOf(answer: MemoryAnswer): Treemap[] {
  const all = memoryArea(answer);
  const groups = { ...all, parts: all.parts.map((group) => ({ ...group, parts: [] })) };
  const used = all.parts.filter(({ colour }) => colour !== 'free');
  const bytes = used.reduce((sum, group) => sum + group.bytes, 0);
  return [
    treemapHtml({ id: 'all', name: 'All memory, by group', whole: groups, shapes: STRIP }),
    treemapHtml({ id: 'used', name: 'Memory in use, by category and owner', whole: { ...all, bytes, parts: used } }),
  ];
}

/** Returns the size and colour of each group. */
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

/** Maximum rows of a table, so that browsers stay fast. */
const MAX_ROWS = 200;

/** Returns the lists of `memory` and `sockets`, collapsed. @param level of their headings */
export function details(answer: MemoryAnswer, level: 'h2' | 'h3' = 'h2'): Content {
  const { caches, callers, zones, census } = answer;
  const sockets = (census?.sockets ?? []).filter(({ total }) => total.pinnedBytes > 0);
  return [
    section(level, 'Sockets that pin memory', {
      id: 'sockets',
      caption: 'Sockets by pinned memory, including slab objects.',
      columns: SOCKET_COLUMNS,
      about: 'OWNER',
      rows: sockets,
    }),
    section(level, 'Slab caches', {
      id: 'caches',
      caption: 'Slab caches, the largest first.',
      columns: CACHE_COLUMNS,
      rows: caches,
    }),
    section(level, 'vmalloc areas by caller', {
      id: 'callers',
      caption: 'Functions that allocated vmalloc areas, the largest first.',
      columns: CALLER_COLUMNS,
      rows: callers,
    }),
    section(level, 'Zones', { id: 'zones', caption: ZONES, columns: zoneColumns(answer), about: 'ZONE', rows: zones }),
  ];
}

function section<Row>(level: string, heading: string, table: HtmlTable<Row>): Html | undefined {
  const { rows } = table;
  if (rows.length === 0) return undefined;
  const left = rows.length - MAX_ROWS;
  const more = left > 0 ? html`<p>and ${formatCount(left)} more</p>` : undefined;
  const tag = raw(level);
  return html`<details><summary><${tag}>${heading} (${formatCount(rows.length)})</${tag}></summary>
${htmlTable({ ...table, rows: rows.slice(0, MAX_ROWS) })}${more}
</details>
`;
}

/** Returns all categories with owners and counters: the treemap as a table. */
export function categoriesTable(answer: MemoryAnswer): Html {
  const known = treeColumns(answer, true).filter(({ heading }) => heading !== 'LARGEST OWNERS');
  return htmlTable<TreeRow>({
    id: 'categories',
    caption: 'Memory by category. The rows of a group sum to the group, and the groups to the total, to the byte.',
    columns: [...known.slice(0, SIZES), ownersColumn(answer), ...known.slice(SIZES), DIFFERENCE, EXACT],
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
  value: ({ category: { differenceBytes } }) => (differenceBytes === null ? '' : signed(differenceBytes)),
};

function signed(bytes: number): string {
  return bytes < 0 ? `−${formatCount(-bytes)}` : formatCount(bytes);
}

const SHOWN = 3;

const ownersColumn = (answer: MemoryAnswer): HtmlColumn<TreeRow> => ({
  heading: 'Largest owners',
  markup: ({ category }) => {
    const names = (owners: readonly Owner[]) =>
      sentence(owners.map((owner) => ownerAmount(answer, category, owner)).join(', '));
    const [first, others] = [category.owners.slice(0, SHOWN), category.owners.slice(SHOWN)];
    const incomplete = category.children.length === 0 && category.why !== null;
    const why = incomplete ? html`<strong>Incomplete:</strong> ${category.why} ` : '';
    const more =
      others.length > 0
        ? html`<details><summary>${others.length} more in ${categoryWords(category)}</summary>${names(others)}</details>`
        : '';
    return html`${why}${names(first)}${more}`;
  },
});
