import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { placeOf } from './places.mjs';

/**
 * Returns a page of the repository with links to the site's pages and files. Targets that the site does not have
 * (source, tests) become plain text.
 *
 * @param {string} markdown
 * @param {string} path of the page in the repository
 * @param {string} root the repository
 */
export function linkedAnew(markdown, path, root) {
  return outsideOfCode(markdown, (text) =>
    text.replaceAll(/\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, words, link) => {
      if (/^(?:https?:|mailto:|#)/.test(link)) return whole;
      const [file, anchor] = link.split('#');
      const target = posix.join(posix.dirname(path), file).replace(/\/$/, '');
      if (!existsSync(join(root, target))) throw new Error(`${path}: ${link} leads nowhere`);
      const place = placeOf(target);
      if (place === null) return words.includes('`') ? words : `\`${words}\``;
      return `[${words}](/${anchor === undefined ? place : `${place}#${anchor}`})`;
    }),
  );
}

/** Code blocks are unchanged. */
function outsideOfCode(markdown, change) {
  return markdown
    .split(/(^```.*?^```$)/ms)
    .map((part, index) => (index % 2 === 1 ? part : change(part)))
    .join('');
}
