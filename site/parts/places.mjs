/** Pages that are not of docs/, by their place in the repository. */
export const OTHER_PAGES = {
  'README.md': 'overview.md',
  'docs/README.md': 'index.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security.md',
  'fixtures/README.md': 'fixtures.md',
  schemas: 'schemas.md',
  deploy: 'deploy.md',
};

/**
 * Where something of the repository stands on the site; null: it is not there (source, tests).
 *
 * @param {string} path from the repository's root, without a slash at its end
 * @returns {string | null} from the site's root
 */
export function placeOf(path) {
  if (Object.hasOwn(OTHER_PAGES, path)) return OTHER_PAGES[path];
  const [, page] = /^docs\/((?:internals\/)?[\w-]+\.(?:md|yaml|png))$/.exec(path) ?? [];
  if (page !== undefined) return page;
  // A folder of deploy/ has a heading on the page of all of them.
  const [, folder] = /^deploy\/([\w-]+)$/.exec(path) ?? [];
  if (folder !== undefined) return `deploy.md#${folder}`;
  return /^(?:schemas|deploy)\//.test(path) ? withEnding(path) : null;
}

/** A file without an ending (Containerfile) is text: by its ending VitePress and servers know what is no page. */
export function withEnding(path) {
  return /\.[^./]+$/.test(path) ? path : `${path}.txt`;
}
