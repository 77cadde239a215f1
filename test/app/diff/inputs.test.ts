import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readInputs } from '../../../src/app/diff/inputs.js';
import type { HostState } from '../../../src/diff/state.js';
import { memoryAnswerAt } from '../../answers/diff/answers.js';
import { scratchFolder } from '../../support/scratch.js';
import { snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = scratchFolder('diff-inputs-');
const file = (name: string) => join(folder, name);
writeFileSync(file('a.json'), JSON.stringify(memoryAnswerAt(2)));
writeFileSync(file('b.tar.gz'), gzipSync('no archive'));
symlinkSync('a.json', file('link.json'));

test('names the unreadable one of several inputs', async () => {
  await expect(readInputs([file('a.json'), file('b.tar.gz')])).rejects.toMatchObject({
    code: 'not-a-capture',
    message: expect.stringMatching(/^\S+\/b\.tar\.gz: the archive is /),
  });
});

test('accepts answers that start with a byte order mark', async () => {
  writeFileSync(file('bom.json'), `\ufeff${JSON.stringify(memoryAnswerAt(3))}`);
  const [plain, marked] = await readInputs([file('a.json'), file('bom.json')]);
  expect(marked?.memory).not.toBeNull();
  expect(marked?.flaws).toEqual(plain?.flaws);
});

test('refuses one file with two names', async () => {
  await expect(readInputs([file('a.json'), file('link.json')])).rejects.toThrow(
    'link.json are the same file: nothing to compare',
  );
});

test.each([
  ['denied\tx', 'PSS and USS of 2 processes were not captured'],
  ['cut\ttimeout', 'the capture is incomplete: /proc/7/smaps_rollup is truncated'],
])('reports data that a snapshot could not read: %s', async (how, said) => {
  const processes = [
    { pid: 1, comm: 'init', anonymous: 300 },
    { pid: 7, comm: 'grows', anonymous: 900 },
  ];
  const path = (name: string, errors?: string) => {
    const files = snapshotFiles(processes);
    if (errors !== undefined) {
      files.set('sample-2/memory', '');
      files.set('errors', errors);
    }
    return writeCapture(file(name), files);
  };
  const words = ({ flaws }: HostState) => flaws.map((one) => one.words).join();
  const [whole, damaged] = await readInputs([
    path(`whole-${how.length}`),
    path(`damaged-${how.length}`, `/proc/7/smaps_rollup\t${how}\nsample-2/memory\t${how}\n`),
  ]);
  expect(words(whole!)).not.toContain(said);
  expect(words(damaged!)).toContain(said);
});
