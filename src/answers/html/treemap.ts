import { type HierarchyRectangularNode, hierarchy, treemap } from 'd3-hierarchy';
import { formatCount } from '../../base/size.js';
import { columnsOf, cutMiddle } from '../text/cut.js';
import { type Html, html, raw, sentence } from './html.js';

/** Treemap: markup and style rules. */
export interface Treemap {
  readonly markup: Html;
  /** Rules for the page's style; contains no data from a dump. */
  readonly style: string;
}

/** Ratios of width to height, on phones and on wider screens. */
interface Shapes {
  readonly narrow: number;
  readonly wide: number;
}

/** Shapes of a treemap with many parts; STRIP is for a few. */
const FIELD: Shapes = { narrow: 3 / 5, wide: 2 };
export const STRIP: Shapes = { narrow: 5, wide: 16 };
/** Maximum lengths of the first line in columns, cut in the middle; the longest that fits is shown. */
const CUTS = [9, 12, 16, 28];
const MAX_COLUMNS = 28;

interface TreemapFacts {
  /** Id of the picture and prefix of ids within it; trusted. */
  readonly id: string;
  readonly name: string;
  readonly whole: Area;
  readonly shapes?: Shapes;
}

/**
 * Returns a treemap: nested boxes whose area is proportional to their size. Each innermost box links to its
 * details on the page. The box shows its description as far as it fits; the full text appears at the bottom
 * of the window on hover or keyboard focus. Screen readers read it as nested lists.
 */
export function treemapHtml({ id, name, whole, shapes = FIELD }: TreemapFacts): Treemap {
  const root = placeAreas(whole, [shapes.narrow, shapes.wide]);
  const rules = new Rules(id, shapes);
  const cells = list(root.parts, `${id}-`, rules);
  const facts = raw(` id="${id}" data-bytes="${whole.bytes}"`);
  return {
    markup: html`<div class="map" role="group" aria-label="${name}"${facts}>${cells}</div>`,
    style: rules.text(),
  };
}

/** @param label lines of the name above the parts */
function list(parts: readonly Placed[], id: string, rules: Rules, label = 0): Html {
  const items = parts.map((part, index) => {
    const isBelow = part.places.every(({ top }) => top > 0.01);
    return item(part, `${id}${index}`, rules, isBelow ? 0 : label);
  });
  return html`<ul role="list">${items}</ul>`;
}

function item({ area, places, parts }: Placed, id: string, rules: Rules, label: number): Html {
  rules.place(id, places);
  const named = area.named && parts.length > 0;
  const facts = raw(` id="${id}" class="${area.colour}${named ? ' named' : ''}" data-bytes="${area.bytes}"`);
  if (parts.length > 0) {
    const within = list(parts, `${id}-`, rules, named ? area.lines.length : 0);
    const name = named ? html`<div class="label">${lines(area, rules)}</div>` : undefined;
    return html`<li${facts}><span class="unseen">${sentence(area.description)}</span>${within}${name}</li>`;
  }
  const target = raw(area.href ?? `#${id}`);
  const description = sentence(area.description);
  return html`<li${facts}><a href="${target}" aria-labelledby="${id}-said">${lines(area, rules, label)}</a><span class="said" id="${id}-said">${description}</span></li>
`;
}

/**
 * Returns the text of a cell: its first line in one of several lengths, followed by the other lines. In a cell
 * that is too narrow for them the first line is vertical.
 */
function lines({ lines: [first = '', ...others], short }: Area, rules: Rules, above = 0): Html[] {
  const fitting = (columns: number) => cutMiddle(columnsOf(first) <= columns ? first : (short ?? first), columns);
  const heads = [...new Set(CUTS.map(fitting))];
  const widths = heads.map(stepped);
  return [
    ...heads
      .slice(0, above > 0 ? 0 : undefined)
      .map((text, index) => span(text, rules.vertical(widths[index]!, widths[index + 1], widths[0]!))),
    ...heads.map((text, index) =>
      span(text, rules.line({ from: widths[index], below: widths[index + 1], lines: above + 1 })),
    ),
    ...others.map((text, index) => {
      const short = cutMiddle(text, MAX_COLUMNS);
      const from = Math.max(stepped(short), widths[0] ?? 0);
      return span(short, rules.line({ from, lines: above + index + 2 }));
    }),
  ];
}

/** Rounds the columns of a text to steps, which limits the number of rules. */
function stepped(text: string): number {
  return 2 * Math.ceil(columnsOf(text) / 2);
}

function span(text: string, name: string): Html {
  return html`<span class="${raw(name)}" aria-hidden="true">${sentence(text)}</span>`;
}

/** Space that a line of a cell requires. */
interface Room {
  /** Minimum columns (inclusive); `below` is the maximum (exclusive). */
  readonly from: number | undefined;
  readonly below?: number | undefined;
  readonly lines: number;
}

/** Style rules of a page. Inline style attributes would be blocked by the policy that forbids scripts. */
class Rules {
  readonly #narrow: string[];
  readonly #wide: string[];
  readonly #lines = new Map<string, string>();

  constructor(id: string, { narrow, wide }: Shapes) {
    this.#narrow = [`#${id}{aspect-ratio:${narrow}}`];
    this.#wide = [`#${id}{aspect-ratio:${wide}}`];
  }

  place(id: string, places: readonly Place[]): void {
    const [narrow, wide] = places.map(
      ({ left, top, width, height }) =>
        `#${id}{left:${percent(left)};top:${percent(top)};width:${percent(width)};height:${percent(height)}}`,
    );
    if (narrow !== undefined) this.#narrow.push(narrow);
    if (wide !== undefined) this.#wide.push(wide);
  }

  /** Returns the class of a line that is shown only if it fits. */
  line({ from = 0, below, lines }: Room): string {
    const name = `l${from}-${below ?? ''}-${lines}`;
    const high = `(height >= ${(lines * LINE_EM + 0.3).toFixed(2)}em)`;
    const wide = `(width >= ${from + 1}ch)`;
    const most = below === undefined ? '' : ` and (width < ${below + 1}ch)`;
    const query = `${high} and ${wide}${most}`;
    this.#lines.set(name, `@container ${query}{.map .${name}{display:block}}`);
    return name;
  }

  /** Returns the class of a vertical line, in cells narrower than `narrow` columns. */
  vertical(from: number, below: number | undefined, narrow: number): string {
    const name = `v${from}-${below ?? ''}-${narrow}`;
    const most = below === undefined ? '' : ` and (height < ${below + 1}ch)`;
    const query = `(width >= ${LINE_EM + 0.3}em) and (width < ${narrow + 1}ch) and (height >= ${from + 1}ch)${most}`;
    const rule = 'display:block;writing-mode:vertical-rl;padding:.5ch .2em 0 0';
    this.#lines.set(name, `@container ${query}{.map .${name}{${rule}}}`);
    return name;
  }

  text(): string {
    return [
      ...this.#narrow,
      `@media print,(min-width:48em){${this.#wide.join('')}}`,
      ...this.#lines.values(),
      '\n',
    ].join('\n');
  }
}

function percent(part: number): string {
  return `${(100 * part).toFixed(4)}%`;
}

const LINE_EM = 1.35;

/** Common rules of all treemaps of a page. */
export const TREEMAP_STYLE = `
.map { position: relative; margin: 1rem 0; }
.map > ul { position: absolute; inset: 0; }
.map ul { margin: 0; padding: 0; list-style: none; max-width: none; }
.map li { position: absolute; }
.map li > ul { position: absolute; inset: 0; }
.map a {
  position: absolute; inset: 0; overflow: hidden; container-type: size;
  box-shadow: inset 0 0 0 1px var(--ground); color: var(--text); text-decoration: none;
  font: .75rem/${LINE_EM} ui-monospace, 'DejaVu Sans Mono', monospace; padding: 0;
}
.map > ul > li::after {
  content: ''; position: absolute; inset: 0; border: 1px solid var(--line); pointer-events: none;
}
.map a > span, .label > span { display: none; white-space: nowrap; padding-left: .5ch; }
.named a { box-shadow: inset 0 0 0 .5px var(--ground); display: flex; flex-direction: column; justify-content: end; }
.label {
  position: absolute; inset: 0; overflow: hidden; container-type: size; pointer-events: none;
  box-shadow: inset 0 0 0 1px var(--ground); color: var(--text);
  font: bold .75rem/${LINE_EM} ui-monospace, 'DejaVu Sans Mono', monospace;
}
.label > span { width: max-content; max-width: 100%; padding-right: .5ch; background: var(--box); }
.map a:hover, .map a:focus-visible { box-shadow: inset 0 0 0 3px var(--link); }
.map a:focus-visible { outline-offset: -3px; z-index: 1; }
.said { display: none; }
.map a:hover + .said, .map a:focus-visible + .said {
  display: block; position: fixed; z-index: 2; inset: auto 0 0 0; padding: .5rem 1rem;
  background: var(--ground); color: var(--text); border-top: 2px solid var(--link);
}
.free { --box: var(--free); }
.applications-and-files { --box: var(--applications-and-files); }
.kernel { --box: var(--kernel); }
.reserved { --box: var(--reserved); }
.unknown { --box: var(--unknown); }
.map a, .swatch { background: var(--box); }
.swatch { display: inline-block; width: 1em; height: 1em; border: 1px solid var(--line); vertical-align: -.15em; margin-right: .4em; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0; padding: 0; list-style: none; }
`;

/** An area of a treemap: a part of the whole, with or without parts of its own. */
export interface Area {
  /** Lines of its cell, most important first; only those that fit are shown. Escaped. */
  readonly lines: readonly string[];
  /** The first line where it would not fit. Escaped. */
  readonly short?: string;
  /** Full text of the cell, for screen readers and for cells that are too small. Escaped. */
  readonly description: string;
  readonly bytes: number;
  /** A colour of style.ts. */
  readonly colour: string;
  /** Link to the details on the page; trusted. */
  readonly href?: string;
  /** Its parts are one box with its name, divided. */
  readonly named?: true;
  readonly parts: readonly Area[];
}

/** Rectangle in fractions (0 to 1) of its parent. */
interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An area with its position in its parent for each shape. */
export interface Placed {
  readonly area: Area;
  readonly places: readonly Place[];
  readonly parts: readonly Placed[];
}

/** Smallest fraction of the whole that is large enough to see and to click. */
const LEAST = 1 / 1500;
/** Maximum number of parts of an area; the others share one cell. */
const MAX_PARTS = 24;

/**
 * Computes the positions of all cells; areas are proportional to their sizes, largest first.
 *
 * @param shapes ratio of width to height, for each layout
 */
export function placeAreas(whole: Area, shapes: readonly number[]): Placed {
  const seen = gathered(whole, whole.bytes * LEAST);
  const layouts = shapes.map((shape) => {
    const root = hierarchy(seen, ({ parts }) => parts)
      .sum(({ bytes, parts }) => (parts.length > 0 ? 0 : bytes))
      .sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
    return treemap<Area>().size([shape, 1])(root);
  });
  return placed(layouts);
}

/**
 * Returns an area whose parts sum to it. Parts that are too small to see share one cell with the remainder.
 * Parts that exceed the whole overlap, and are not shown.
 */
function gathered(area: Area, least: number): Area {
  const sum = area.parts.reduce((all, { bytes }) => all + bytes, 0);
  if (sum === 0 || sum > area.bytes) return { ...area, parts: [] };
  const sorted = area.parts.toSorted((a, b) => b.bytes - a.bytes);
  const shown = sorted.slice(0, MAX_PARTS).filter(({ bytes }) => bytes >= least);
  const parts = shown.map((part) => gathered(part, least));
  const rest = area.bytes - shown.reduce((all, { bytes }) => all + bytes, 0);
  const small = sorted.filter(({ bytes }) => bytes > 0).length - shown.length;
  return { ...area, parts: rest > 0 ? [...parts, restOf(area, rest, small)] : parts };
}

function restOf({ description, colour, href }: Area, bytes: number, small: number): Area {
  const rest = small > 0 ? `the rest, ${formatCount(small)} smaller ones among it` : 'the rest';
  return {
    lines: ['the rest'],
    description: `${rest} of: ${description}`,
    bytes,
    colour,
    parts: [],
    ...(href === undefined ? {} : { href }),
  };
}

/** Returns the position of one node in each layout; all layouts are sorted alike. */
function placed(nodes: readonly HierarchyRectangularNode<Area>[]): Placed {
  const [first] = nodes;
  if (!first) throw new TypeError('a treemap has a shape');
  return {
    area: first.data,
    places: nodes.map(placeOf),
    parts: (first.children ?? []).map((_, index) => placed(nodes.map(({ children }) => children![index]!))),
  };
}

function placeOf({ parent, x0, y0, x1, y1 }: HierarchyRectangularNode<Area>): Place {
  const outer = parent ?? { x0, y0, x1, y1 };
  const [width, height] = [outer.x1 - outer.x0, outer.y1 - outer.y0];
  return {
    left: (x0 - outer.x0) / width,
    top: (y0 - outer.y0) / height,
    width: (x1 - x0) / width,
    height: (y1 - y0) / height,
  };
}
