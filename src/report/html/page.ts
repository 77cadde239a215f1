import { createHash } from 'node:crypto';
import { type Content, html, raw } from './html.js';
import { STYLE } from './style.js';

/** What the foot of a page says of it. */
export interface PageFacts {
  /** The options that name the dump; a line of shell words. */
  readonly source: string;
  readonly version: string;
  readonly made: Date;
}

/** What a page has between its frame. */
export interface Page {
  /** For the window's title and the first heading. */
  readonly title: string;
  /** Rules of this page alone, after those of all pages; ours, without a word from a dump. */
  readonly style?: string;
  readonly body: Content;
  /** What the page was made of, by what, and when. */
  readonly about: Content;
}

/**
 * One file that needs nothing else: no script, nothing from elsewhere, and a policy that forbids both to
 * whatever might get into it. The style is allowed by its hash, so that no other is.
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
