/** Pages outside docs/, by their path in the repository. */
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
 * Returns the path on the site of a file or folder; null if the site does not have it (source, tests).
 *
 * @param {string} path from the repository's root, without a slash at its end
 * @returns {string | null} from the site's root
 */
export function placeOf(path) {
  if (Object.hasOwn(OTHER_PAGES, path)) return OTHER_PAGES[path];
  const [, page] = /^docs\/((?:internals\/)?[\w-]+\.(?:md|yaml|png))$/.exec(path) ?? [];
  if (page !== undefined) return page;
  // A folder of deploy/ is a heading on the deploy page.
  const [, folder] = /^deploy\/([\w-]+)$/.exec(path) ?? [];
  if (folder !== undefined) return `deploy.md#${folder}`;
  return /^(?:schemas|deploy)\//.test(path) ? withEnding(path) : null;
}

/** Adds an extension to a file without one (Containerfile): VitePress and servers recognize files by extension. */
export function withEnding(path) {
  return /\.[^./]+$/.test(path) ? path : `${path}.txt`;
}
