import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { EXIT } from '../src/app/kit/failure.js';
import { kdumpMemIn } from './support/cli.js';
import { commandLines, DOCUMENTS, ROOT, textOf } from './support/documents.js';

/** Stands for it in a line whose words are told apart by blanks. */
const NAME = 'DUMP';
const DUMP = join(ROOT, 'fixtures/dumps/6.1.vmcore');
/** How documents name the dump that somebody has. */
const NAMED = /--vmcore (?:(?:\S*\/)?vmcore|FILE|fixtures\/dumps\/6\.1\.vmcore)(?= |$)/;
/** Dumps of others, programs that need not be here, and what takes its time. */
const NOT_HERE =
  /--(?:live|from|engine|watch|store|debug|vmlinux|map|rules|sources?|symbols)\b|^(?:mcp|watch|leaks|snapshot|diff|completion|doctor)\b|…|<|\*|\$|"|'|\.\.\./;

/** Examples of the commands' help, which manual pages have, too. */
function examplesOf(source: string): string[] {
  const lines = source.matchAll(/^ +(kdump-mem \S.*?)(?: {2,}.*)?$/gm);
  return Array.from(lines, ([, line = '']) => line);
}

const APP = 'src/app';
const lines = [
  ...DOCUMENTS.flatMap((path) => commandLines(textOf(path)).map((line) => ({ line, path }))),
  ...readdirSync(join(ROOT, APP))
    .map((name) => `${APP}/${name}/command.ts`)
    .filter((path) => existsSync(join(ROOT, path)))
    .flatMap((path) => {
      return examplesOf(textOf(path)).map((line) => ({ line, path }));
    }),
];

/** Words of command lines that read one dump, each once. */
const asked = new Map(
  lines.flatMap(({ line, path }) => {
    const words = /^(?:\S*\/)?kdump-mem ([^|;&>]*)/.exec(line.trim())?.[1]?.trim() ?? '';
    return NAMED.test(words) && !NOT_HERE.test(words) ? [[words, path] as const] : [];
  }),
);

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-documents-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('there are some', () => {
  expect(asked.size).toBeGreaterThan(20);
});

test.each([...asked])('kdump-mem %s (%s) is a question that can be asked', async (words) => {
  const args = words
    .replace(NAMED, `--vmcore ${NAME}`)
    .split(/\s+/)
    .map((word) => (word === NAME ? DUMP : word));
  const { status, stdout, stderr } = await kdumpMemIn(folder, ...args);
  // What a document asks of its own incident need not be in this dump, and the extract lacks some of it.
  expect(Object.values(EXIT), stderr).toContain(status);
  expect(status, stderr).not.toBe(EXIT.usage);
  expect(stderr).not.toMatch(/\n {4}at /);
  // What it has no answer to, it says.
  expect(`${stdout}${stderr}`).not.toBe('');
});
