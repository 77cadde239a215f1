/**
 * The anchor of a heading as forges make it, so that a link that works there works here.
 *
 * @param {string} words
 */
export function anchorOf(words) {
  return words
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
