import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';

/**
 * Returns links, images, scripts and styles of the pages below a folder whose target or anchor does not exist.
 * Addresses of other hosts are not checked.
 *
 * @param {string} folder a built site
 * @param {string} base where a server has it: / or /kdump-mem/
 */
export function brokenLinks(folder, base) {
  const pages = readdirSync(folder, { recursive: true }).filter((path) => path.endsWith('.html'));
  const anchors = new Map();
  const anchorsOf = (path) => {
    if (!anchors.has(path)) anchors.set(path, idsOf(readFileSync(join(folder, path), 'utf8')));
    return anchors.get(path);
  };
  const leads = (page, link) => {
    if (/^(?:https?|mailto|data):/.test(link)) return true;
    const [before, anchor] = decodeURIComponent(link).split('#');
    const target = before === '' ? page : targetOf(folder, base, page, before.split('?')[0]);
    if (target === null) return false;
    return !anchor || (/\.(?:html|svg)$/.test(target) && anchorsOf(target).has(anchor));
  };
  const broken = pages.flatMap((page) =>
    linksOf(readFileSync(join(folder, page), 'utf8'))
      .filter((link) => !leads(page, link))
      .map((link) => ({ page, link })),
  );
  return { pages: pages.length, broken };
}

/** Returns the file that a server sends, or null. */
function targetOf(folder, base, page, link) {
  if (link.startsWith('/') && !link.startsWith(base)) return null;
  const path = link.startsWith('/') ? link.slice(base.length) : posix.join(posix.dirname(page), link);
  const candidates = [path, `${path}.html`, posix.join(path, 'index.html')];
  return (
    candidates.find((each) => {
      const file = join(folder, each);
      return existsSync(file) && statSync(file).isFile();
    }) ?? null
  );
}

const unescaped = (words) => words.replaceAll('&amp;', '&').replaceAll('&quot;', '"');

function linksOf(html) {
  return [...html.matchAll(/<[a-z][^>]*?\s(?:href|src)="([^"]*)"/g)].map(([, link]) => unescaped(link));
}

function idsOf(html) {
  return new Set([...html.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id]) => unescaped(id)));
}
