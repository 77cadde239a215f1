import { escapeText } from '../text/escape.js';

/** Markup that is safe to print: only the functions here make it. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

/** What stands within markup: text is escaped, nothing stands for nothing. */
export type Content = Html | string | number | undefined | readonly Content[];

/**
 * A template for markup. All text within is made inert, wherever it stands: of a dump it may be anything.
 * First as for a terminal (what nobody would see, or what reorders other text, comes out as `\u{202e}`),
 * then for HTML, also in attributes, which must have quotes.
 */
export function html(parts: TemplateStringsArray, ...contents: readonly Content[]): Html {
  const filled = contents.map((content, index) => markupOf(content) + (parts[index + 1] ?? ''));
  return new Html((parts[0] ?? '') + filled.join(''));
}

/** Markup that was written by us, and by nobody else. */
export function raw(markup: string): Html {
  return new Html(markup);
}

/** Sentences that {@link escapeText} went over, or that it would take apart: escaped for HTML alone. */
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
