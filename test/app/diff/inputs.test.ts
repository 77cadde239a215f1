import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { noteWords } from '../../../src/answers/diff/words.js';
import { readInputs } from '../../../src/app/diff/inputs.js';
import { compareStates } from '../../../src/diff/compare.js';
import type { HostState } from '../../../src/diff/state.js';
import { memoryAnswerAt } from '../../answers/diff/answers.js';
import { scratchFolder } from '../../support/scratch.js';
import { meminfo, snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = scratchFolder('diff-inputs-');
let made = 0;
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

describe('folders of /proc of one machine', () => {
  const zoneinfo = (free: number) =>
    `Node 0, zone   Normal\n  pages free     ${free}\n        min      100\n        low      200\n        high     300\n` +
    '        spanned  270000\n        present  270000\n        managed  262144\n  pagesets\n    cpu: 0\n' +
    '              count: 9000\n  start_pfn:           4096\n';
  const compared = async (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>) => {
    const paths = [one, other].map((files, at) =>
      writeCapture(join(folder, `proc-${at}-${++made}`), new Map(Object.entries(files))),
    );
    return compareStates(await readInputs(paths));
  };
  const free = 100_000;
  const text = meminfo({ MemTotal: 1_048_576, MemFree: free * 4, AnonPages: 300_000 });

  test('zones that one input lacks are neither removed memory nor a loss', async () => {
    const whole = { 'proc/meminfo': text, 'proc/zoneinfo': zoneinfo(free), 'proc/vmstat': `nr_free_pages ${free}\n` };
    const { categories, loss, notes } = await compared(whole, { 'proc/meminfo': text });
    expect(categories?.changeBytes).toBe(0);
    expect(categories?.children.map(({ category }) => category)).not.toContain('reserved');
    expect(loss?.explanation).toBeNull();
    expect(notes.map(({ code }) => code)).toContain('change-unknown');
    expect(notes.map(({ code }) => code)).not.toContain('memory-hotplug');
  });

  test('a kernel that is unknown is no other boot', async () => {
    const { sameBoot, notes } = await compared(
      { 'proc/meminfo': text, 'proc/version': 'Linux version 4.14.180 (x)\n' },
      { 'proc/meminfo': text },
    );
    expect(sameBoot).toBeNull();
    expect(notes.map(({ code }) => code)).not.toContain('different-kernels');
  });

  test('zones of another time are not damage', async () => {
    const files = (moved: number) => ({
      'proc/meminfo': text,
      'proc/zoneinfo': zoneinfo(free - moved),
      'proc/vmstat': `nr_free_pages ${free}\n`,
    });
    const { notes } = await compared(files(30_000), files(0));
    expect(notes.map(({ code }) => code)).not.toContain('inconsistent');
    expect(notes.map(noteWords).join()).toMatch(/free memory changed while it was read: zones count \S+ MiB, MemFree/);
  });
});
