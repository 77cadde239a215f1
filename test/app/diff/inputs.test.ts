import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { readInputs } from '../../../src/app/diff/inputs.js';
import { memoryAnswerAt } from '../../answers/diff/answers.js';

const folder = mkdtempSync(join(tmpdir(), 'diff-inputs-'));
const file = (name: string) => join(folder, name);
writeFileSync(file('a.json'), JSON.stringify(memoryAnswerAt(2)));
writeFileSync(file('b.tar.gz'), gzipSync('no archive'));
symlinkSync('a.json', file('link.json'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('of several inputs it is told which cannot be read', async () => {
  await expect(readInputs([file('a.json'), file('b.tar.gz')])).rejects.toMatchObject({
    code: 'not-a-capture',
    message: expect.stringMatching(/^\S+\/b\.tar\.gz: the archive is /),
  });
});

test('answers that an editor saved with a byte order mark are answers', async () => {
  writeFileSync(file('bom.json'), `\ufeff${JSON.stringify(memoryAnswerAt(3))}`);
  const [plain, marked] = await readInputs([file('a.json'), file('bom.json')]);
  expect(marked?.memory).not.toBeNull();
  expect(marked?.flaws).toEqual(plain?.flaws);
});

test('one file by two names is refused', async () => {
  await expect(readInputs([file('a.json'), file('link.json')])).rejects.toThrow(
    'link.json are the same file: nothing to compare',
  );
});
