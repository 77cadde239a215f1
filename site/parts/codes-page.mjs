import { anchorOf } from './anchor.mjs';
import { code, plain } from './markdown.mjs';

/**
 * Returns the page of all codes of the answers, with the text of `kdump-mem explain`.
 *
 * @param {readonly import('../../dist/answers/explain/codes.js').Kind[]} kinds
 */
export function codesPage(kinds) {
  const parts = kinds.flatMap(({ name, codes, words }) => [
    `## ${plain(name)}`,
    ...codes.flatMap((each) => [`### ${each}`, ...paragraphs(words[each])]),
  ]);
  return [
    '# Codes',
    'Every code that an answer can have. `kdump-mem explain CODE` prints the same text.',
    kinds.map(({ name }) => `- [${plain(name)}](#${anchorOf(name)})`).join('\n'),
    ...parts,
    '',
  ].join('\n\n');
}

function paragraphs({ means, known, next, deeper }) {
  return [
    plain(means),
    `*Source:* ${plain(known)}`,
    `*Do:* ${plain(next)}`,
    ...(deeper === undefined ? [] : [`*More:* ${code(deeper)}`]),
  ];
}
