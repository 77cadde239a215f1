import { readFileSync } from 'node:fs';

/**
 * Returns the menu: the lists of docs/README.md, a group for each heading that has one. The page that a forge
 * shows for docs/ and the menu of the site are therefore the same.
 *
 * @param {string} markdown
 * @returns {{ text: string, items: { text: string, file: string }[] }[]}
 */
export function groupsOf(markdown) {
  return markdown.split(/^## /m).flatMap((part) => {
    const [text = '', ...lines] = part.split('\n');
    const items = lines.flatMap((line) => {
      const [, title, file] = /^- \[([^\]]+)\]\(([^)#]+\.md)\)/.exec(line) ?? [];
      return file ? [{ text: title, file }] : [];
    });
    return items.length === 0 ? [] : [{ text: text.trim(), items }];
  });
}

export const DOCS_MENU = groupsOf(readFileSync(new URL('../../docs/README.md', import.meta.url), 'utf8'));
