import { columnsOf, cutMiddle } from '../text/cut.js';
import { type Area, type Place, type Placed, placeAreas } from './areas.js';
import { type Html, html, raw, sentence } from './html.js';

/** A picture of what something consists of: its markup, and the rules that it needs. */
export interface Treemap {
  readonly markup: Html;
  /** For the page's style; nothing in it is from a dump. */
  readonly style: string;
}

/** Width over height: of a telephone, and of all that is wider. */
interface Shapes {
  readonly narrow: number;
  readonly wide: number;
}

/** Of what has many parts, and of what has a few. */
const FIELD: Shapes = { narrow: 3 / 4, wide: 2 };
export const STRIP: Shapes = { narrow: 5, wide: 16 };
/** Columns that the first line may have: the most that there is room for, cut in the middle. */
const CUTS = [9, 16, 28];
const MOST_COLUMNS = 28;

interface TreemapFacts {
  /** Of the picture, and the beginning of the ids in it; ours. */
  readonly id: string;
  readonly name: string;
  readonly whole: Area;
  readonly shapes?: Shapes;
}

/**
 * Boxes in boxes, as large as what they stand for. Each innermost box leads to where the page tells of it;
 * what it is stands in it as far as there is room, and at the foot of the window where one looks at it by
 * mouse or keys. For a screen reader it is a list of lists.
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

function list(parts: readonly Placed[], id: string, rules: Rules): Html {
  const items = parts.map((part, index) => item(part, `${id}${index}`, rules));
  return html`<ul role="list">${items}</ul>`;
}

function item({ area, places, parts }: Placed, id: string, rules: Rules): Html {
  rules.place(id, places);
  const facts = raw(` id="${id}" class="${area.colour}" data-bytes="${area.bytes}"`);
  if (parts.length > 0) {
    const within = list(parts, `${id}-`, rules);
    return html`<li${facts}><span class="unseen">${sentence(area.said)}</span>${within}</li>`;
  }
  const target = raw(area.href ?? `#${id}`);
  const said = sentence(area.said);
  return html`<li${facts}><a href="${target}" aria-labelledby="${id}-said">${lines(area, rules)}</a><span class="said" id="${id}-said">${said}</span></li>
`;
}

/** What stands in a cell: its first line in one of several lengths, and others only below that. */
function lines({ lines: [first = '', ...others] }: Area, rules: Rules): Html[] {
  const heads = [...new Set(CUTS.map((columns) => cutMiddle(first, columns)))];
  const widths = heads.map(stepped);
  return [
    ...heads.map((text, index) =>
      span(text, rules.line({ from: widths[index], below: widths[index + 1], lines: 1 })),
    ),
    ...others.map((text, index) => {
      const short = cutMiddle(text, MOST_COLUMNS);
      const from = Math.max(stepped(short), widths[0] ?? 0);
      return span(short, rules.line({ from, lines: index + 2 }));
    }),
  ];
}

/** Columns, in steps, so that there are few rules. */
function stepped(text: string): number {
  return 2 * Math.ceil(columnsOf(text) / 2);
}

function span(text: string, name: string): Html {
  return html`<span class="${raw(name)}" aria-hidden="true">${sentence(text)}</span>`;
}

/** What a line of a cell needs to be shown. */
interface Room {
  /** Columns: as many as this, and fewer than these. */
  readonly from: number | undefined;
  readonly below?: number | undefined;
  readonly lines: number;
}

/** Rules of a page's own style: as attributes, a policy that forbids scripts would forbid them too. */
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

  /** The class of a line that is shown where there is room for it. */
  line({ from = 0, below, lines }: Room): string {
    const name = `l${from}-${below ?? ''}-${lines}`;
    const high = `(height >= ${(lines * LINE_EM + 0.3).toFixed(2)}em)`;
    const wide = `(width >= ${from + 1}ch)`;
    const most = below === undefined ? '' : ` and (width < ${below + 1}ch)`;
    const query = `${high} and ${wide}${most}`;
    this.#lines.set(name, `@container ${query}{.map a > .${name}{display:block}}`);
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

/** Rules of all treemaps of a page, before those of each. */
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
.map a > span { display: none; white-space: nowrap; padding-left: .5ch; }
.map a > span:first-child { padding-top: .2em; }
.map a:hover, .map a:focus-visible { box-shadow: inset 0 0 0 3px var(--link); }
.map a:focus-visible { outline-offset: -3px; z-index: 1; }
.said { display: none; }
.map a:hover + .said, .map a:focus-visible + .said {
  display: block; position: fixed; z-index: 2; inset: auto 0 0 0; padding: .5rem 1rem;
  background: var(--ground); color: var(--text); border-top: 2px solid var(--link);
}
.free > a, .swatch.free { background: var(--free); }
.applications-and-files > a,
.swatch.applications-and-files { background: var(--applications-and-files); }
.kernel > a, .swatch.kernel { background: var(--kernel); }
.reserved > a, .swatch.reserved { background: var(--reserved); }
.unknown > a, .swatch.unknown { background: var(--unknown); }
.swatch { display: inline-block; width: 1em; height: 1em; border: 1px solid var(--line); vertical-align: -.15em; margin-right: .4em; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0; padding: 0; list-style: none; }
`;
