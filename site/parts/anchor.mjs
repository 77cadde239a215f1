/**
 * Returns the anchor that forges give a heading, so that the same link works on the site.
 *
 * @param {string} words
 */
export function anchorOf(words) {
  return words
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
