import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { codesSource } from '../../../scripts/generate-parts/codes.mjs';
import { scratchFolder } from '../../support/scratch.js';

const root = scratchFolder('code-pages-');
mkdirSync(join(root, 'src/codes'), { recursive: true });
mkdirSync(join(root, 'src/answers/explain'), { recursive: true });
writeFileSync(
  join(root, 'src/answers/explain/kinds.ts'),
  "export interface CodesOf {\n  'read-error': 'a' | 'b';\n}\n",
);

/** Lines of the source for a page. */
function generated(page: string): string {
  writeFileSync(join(root, 'src/codes/errors.md'), page);
  return codesSource(root).join('\n');
}

const HEAD = '# Errors\n\n## read-error: Why memory\n\nFor readers.\n\nAction: None.\n\n';

test('a code has its own lines, and those of its kind', () => {
  const text = generated(
    `${HEAD}- **a**: First.\n  - Source: x: y\n- **b**: Second.\n  - Source: z\n  - Action: Do.\n  - Next: kdump-mem info\n`,
  );
  expect(text).toContain("READ_ERROR: Section<'src/codes/errors.md', CodesOf['read-error']>");
  expect(text).toContain(`'a': {"means":"First.","known":"x: y","next":"None."}`);
  expect(text).toContain(`'b': {"means":"Second.","known":"z","next":"Do.","deeper":"kdump-mem info"}`);
  expect(text).toContain(`'read-error': "Why memory"`);
});

test.each([
  ['a code without a source', `${HEAD}- **a**: First.\n`, 'errors.md:9: a has no Source'],
  ['another label', `${HEAD}- **a**: First.\n  - Cause: x\n`, 'errors.md:10: neither a code nor its Source'],
  ['a wrapped line', `${HEAD}- **a**: First.\n  Second.\n`, 'errors.md:10: neither a code nor its Source'],
  ['a label twice', `${HEAD}- **a**: First.\n  - Source: x\n  - Source: y\n`, 'errors.md:11: a second Source'],
  [
    'a code twice',
    `${HEAD}- **a**: First.\n  - Source: x\n- **a**: Again.\n`,
    'errors.md:11: a second explanation of a',
  ],
  ['a kind twice', `${HEAD}${HEAD}`, 'errors.md:11: a second kind read-error'],
  ['an unknown kind', '## other: Others\n', 'errors.md:1: src/answers/explain/kinds.ts has no kind other'],
  ['a code before a kind', '- **a**: First.\n', 'errors.md:1: a code before the first kind'],
  ['no kind', '# Errors\n', 'src/codes: no heading "## read-error: NAME"'],
])('refuses %s', (_, page, words) => {
  expect(() => generated(page)).toThrow(words);
});
