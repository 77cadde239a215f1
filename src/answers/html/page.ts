import { createHash } from 'node:crypto';
import { formatCount } from '../../base/size.js';
import { type Content, html, raw } from './html.js';

/** Facts for the footer of a page. */
export interface PageFacts {
  /** Options that name the dump, as shell words. */
  readonly source: string;
  readonly version: string;
  readonly made: Date;
}

/** The machine that a page shows, and when; null: unknown. Untrusted. */
export interface TitleFacts {
  readonly host: string | null;
  readonly release: string | null;
  readonly at: string | null;
}

/** The node name of a kernel before it is set. */
const UNNAMED = '(none)';

/** Returns a title such as `Triage of web-1, Linux 6.1.0, 2026-01-02 03:04:05 UTC`. */
export function pageTitle(subject: string, { host, release, at }: TitleFacts): string {
  const name = host === null || host === '' || host === UNNAMED ? '' : ` of ${host}`;
  const linux = release === null || release === '' ? '' : `, Linux ${release}`;
  const time = at === null ? '' : `, ${at.slice(0, 19).replace('T', ' ')} UTC`;
  return `${subject}${name}${linux}${time}`;
}

/** Content of a page. */
export interface Page {
  /** Text of the window title and the first heading. */
  readonly title: string;
  /** Style rules of this page, appended to the common ones; contains no text from a dump. */
  readonly style?: string;
  readonly body: Content;
  /** Source, program version and time. */
  readonly about: Content;
}

/**
 * Returns a self-contained file: no script, no external resources, and a content security policy that forbids
 * both. The policy allows the style by its hash.
 */
export function pageHtml({ title, style = '', body, about }: Page): string {
  const rules = `${STYLE}${style}`;
  const hash = createHash('sha256').update(rules).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${raw(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${raw(rules)}</style>
</head>
<body>
<header><h1>${title}</h1></header>
<main>
${body}
</main>
<footer>${about}</footer>
</body>
</html>`;
  return page.markup;
}

/**
 * Style of all pages. Colours are pairs for light and dark, with the contrast of WCAG 2 AA (text 4.5, edges
 * 3). No information depends on colour alone.
 */
const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #fff; --text: #1b1f24; --faint: #57606a; --line: #8c959f; --soft: #f3f5f7;
  --link: #0a58b8; --alarm: #a40e26; --alarm-ground: #fff0f0;
  --free: #c9ecd0; --applications-and-files: #c6dcfa; --kernel: #fbdcae; --reserved: #d9dde2; --unknown: #f8c6cc;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181d; --text: #e8ecf0; --faint: #a9b4bf; --line: #7b8794; --soft: #1e242b;
    --link: #7cb7ff; --alarm: #ff9a9f; --alarm-ground: #331417;
    --free: #1d4a2a; --applications-and-files: #1b3f70; --kernel: #5c3a0b; --reserved: #3b424a; --unknown: #6b1f28;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-bottom: 5rem; }
body {
  margin: 0 auto; padding: 1rem clamp(.75rem, 3vw, 2rem) 4rem; max-width: 80rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
summary h2 { display: inline; }
p, ul, ol { margin: .5rem 0; max-width: 60rem; }
li ul { margin: 0; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible {
  outline: 3px solid var(--link); outline-offset: 2px;
}
code, .name { font-family: ui-monospace, 'DejaVu Sans Mono', monospace; }
.headline { font-size: 1.1rem; }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 1rem 0; }
.figures dt { color: var(--faint); font-size: .9rem; }
.figures dd { margin: 0; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.faint, footer { color: var(--faint); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .5rem; }
.unseen {
  position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
.alarm {
  border: 2px solid var(--alarm); background: var(--alarm-ground); padding: .25rem 1rem; margin: 1rem 0;
}
.alarm h2 { margin-top: .5rem; color: var(--alarm); }
details { margin: 1rem 0; }
td details { margin: .25rem 0 0; }
summary { cursor: pointer; }
.scrolls { overflow-x: auto; position: relative; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; color: var(--faint); padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
thead th { border-bottom-width: 2px; white-space: nowrap; }
tbody th { font-weight: normal; }
.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.text { min-width: min(15rem, 60vw); overflow-wrap: anywhere; }
tr.group > * { font-weight: bold; background: var(--soft); }
tr.within > th { padding-left: 1.25rem; }
tr:target > * { background: var(--soft); outline: 2px solid var(--link); outline-offset: -2px; }
@media (min-width: 48em) { tbody th { white-space: nowrap; } }
@media print {
  :root {
    color-scheme: light;
    --ground: #fff; --text: #000; --faint: #333; --line: #666; --soft: #eee; --link: #000;
    --alarm: #a40e26; --alarm-ground: #fff;
    --free: #c9ecd0; --applications-and-files: #c6dcfa; --kernel: #fbdcae; --reserved: #d9dde2; --unknown: #f8c6cc;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .skip { display: none; }
  .scrolls { overflow: visible; }
  table { font-size: 8pt; width: 100%; }
  .text { min-width: 0; }
  tbody th, .figure { white-space: normal; }
  details::details-content { content-visibility: visible; block-size: auto; }
  tr, .map { break-inside: avoid; }
  .map { print-color-adjust: exact; }
}
`;

const MOST = 50;

/** Returns the section with reasons why an answer is incomplete, or with warnings; undefined without any. */
export function missingSection(complete: boolean, all: readonly Content[]): Content {
  if (complete && all.length === 0) return undefined;
  const shown = all.slice(0, MOST).map((line) => html`<li>${line}</li>\n`);
  const left = all.length - MOST;
  const more = left > 0 ? html`<li>and ${formatCount(left)} more</li>` : undefined;
  const heading = complete ? 'Warnings' : 'This answer is incomplete: it does not include everything';
  return html`<section${raw(complete ? '' : ' class="alarm"')} aria-labelledby="missing">
<h2 id="missing">${heading}</h2>
<ul>${shown}${more}</ul>
</section>`;
}
