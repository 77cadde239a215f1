import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeText } from '../../src/base/escape.js';
import { shellPath, shellWord } from '../../src/base/shell.js';

const ODD = [
  '',
  'vmcore.gz',
  'a b',
  "it's",
  '$(reboot)',
  '`id`',
  'back\\slash',
  'größe',
  'star*?[x]{a,b}',
  '~root',
  'new\nline',
  '\x1b]0;title\x07',
  'right\u202eleft',
  'filler\u3164',
  "quote'\n\\9",
  '!x;y&z|<>#',
];

/** Words as bash parses them from the printed text. */
function read(words: readonly string[]): string[] {
  const script = `printf '%s\\0' ${words.join(' ')}`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\0').slice(0, -1);
}

test('quotes any word so that a shell parses it unchanged', () => {
  expect(read(ODD.map(shellWord))).toEqual(ODD);
  const word = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((one) => !one.includes('\0'));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 50 }), (words) => {
      expect(read(words.map(shellWord))).toEqual(words);
    }),
    { numRuns: 20 },
  );
});

test('quotes a word so that it cannot control a terminal', () => {
  for (const word of ODD) {
    const shown = shellWord(word).replaceAll('\\', '');
    expect(escapeText(shown)).toBe(shown);
  }
  expect(shellWord('vmcore-1.gz')).toBe('vmcore-1.gz');
  expect(shellWord('größe 1')).toBe("'größe 1'");
});

test('never lets a file name look like an option', () => {
  expect(shellPath('-rf')).toBe('./-rf');
  expect(shellPath('/var/crash/-rf')).toBe('/var/crash/-rf');
});
