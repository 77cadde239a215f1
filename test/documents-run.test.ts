import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXIT } from '../src/app/kit/failure.js';
import { commandLines, DOCUMENTS, ROOT, textOf } from './support/documents.js';
import { kdumpMemIn } from './support/in-process.js';
import { scratchFolder } from './support/scratch.js';

/** Placeholder in a line whose words are separated by blanks. */
const NAME = 'DUMP';
const DUMP = join(ROOT, 'fixtures/dumps/6.1.vmcore');
/** Names that documents use for the reader's dump. */
const NAMED = /--vmcore (?:(?:\S*\/)?vmcore|FILE|fixtures\/dumps\/6\.1\.vmcore)(?= |$)/;
/** Dumps of others, programs that may not be installed, and slow commands. */
const NOT_HERE =
  /--(?:live|from|engine|watch|store|debug|vmlinux|map|rules|sources?|symbols)\b|^(?:mcp|watch|leaks|snapshot|diff|completion|doctor)\b|…|<|\*|\$|"|'|\.\.\./;

/** Examples in the commands' help, which manual pages contain, too. */
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
const queries = new Map(
  lines.flatMap(({ line, path }) => {
    const words = /^(?:\S*\/)?kdump-mem ([^|;&>]*)/.exec(line.trim())?.[1]?.trim() ?? '';
    return NAMED.test(words) && !NOT_HERE.test(words) ? [[words, path] as const] : [];
  }),
);

const folder = scratchFolder('kdump-mem-documents-');

test('finds command lines', () => {
  expect(queries.size).toBeGreaterThan(20);
});

test.each([...queries])('kdump-mem %s (%s) is a valid command', async (words) => {
  const args = words
    .replace(NAMED, `--vmcore ${NAME}`)
    .split(/\s+/)
    .map((word) => (word === NAME ? DUMP : word));
  const { status, stdout, stderr } = await kdumpMemIn(folder, ...args);
  // Objects of a document's own incident may not be in this dump, and the extract lacks some memory.
  expect(Object.values(EXIT), stderr).toContain(status);
  expect(status, stderr).not.toBe(EXIT.usage);
  expect(stderr).not.toMatch(/\n {4}at /);
  // It reports if it has no answer.
  expect(`${stdout}${stderr}`).not.toBe('');
});
