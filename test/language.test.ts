import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { declaredNames, printedText, testTitles } from '../scripts/lint-parts/printed-text.mjs';
import { DOCUMENTS, ROOT, textOf } from './support/documents.js';

/** Words and phrases that docs/glossary.md replaces by a term of the field. */
const RETIRED: readonly RegExp[] = [
  /\bdrawers?\b/i,
  /\bnothing explains\b/i,
  /\bunexplained\b/i,
  /\b(?:tell|tells|told|telling|untold)\b/i,
  /\b(?:nobody|somebody|whom)\b/i,
  /\bamid\b/i,
  /\bbesides\b/i,
  /\blooks? (?:again|so often)\b/i,
  /\bgiv(?:e|es|en|ing) back\b/i,
  /\bset aside\b/i,
  /\bfell out\b/i,
  /\bwaits? unread\b/i,
  /\bis the matter\b/i,
  /\b(?:not|no) whole\b/i,
];

/** Names of fields: whole names, since one of them may be part of a good one. */
const RETIRED_FIELDS = new Set([
  'asked',
  'drawer',
  'drawers',
  'familiar',
  'look',
  'looks',
  'notShown',
  'taken',
  'told',
  'unexplained',
  'untold',
  'whole',
]);

/** Parts of names of types, classes and functions. */
const RETIRED_IN_NAMES = /^(?:Asked|Drawer|Gentle|Told|Unexplained|Untold|Watchman|Whose|Wish)$/i;

/** Whole names of variables and parameters: each has a noun of the field. */
const RETIRED_VARIABLES = new Set(['each', 'one', 'said', 'told']);

const retiredIn = (text: string) => RETIRED.flatMap((words) => words.exec(text)?.[0] ?? []);

test('printed text has no retired term', () => {
  // Most output of --script is code.
  const all = printedText(ROOT, 'src').filter(({ file }) => !/\/script\b/.test(file));
  expect(all.length).toBeGreaterThan(3000);
  const found = all.flatMap(({ file, line, text }) =>
    retiredIn(text).map((words) => `${file}:${line}: ${words}: ${text}`),
  );
  expect(found).toEqual([]);
});

const PAGES = DOCUMENTS.filter((path) => path !== 'CHANGELOG.md');
const DEPLOYED = readdirSync(join(ROOT, 'deploy'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(?:ya?ml|json|md|service|timer)$/.test(name))
  .map((name) => `deploy/${name}`);

test.each([...PAGES, ...DEPLOYED])('%s has no retired term', (path) => {
  const prose = textOf(path)
    .replaceAll(/^```.*?^```$/gms, '')
    .replaceAll(/`[^`\n]*`/g, '');
  expect(retiredIn(prose)).toEqual([]);
});

test('titles of tests have no retired term', () => {
  const titles = testTitles(ROOT, 'test');
  expect(titles.length).toBeGreaterThan(3000);
  const found = titles.flatMap(({ file, line, text }) =>
    [...retiredIn(text), ...(/^(?:what|whose|who)\b/i.exec(text) ?? [])].map(
      (words) => `${file}:${line}: ${words}: ${text}`,
    ),
  );
  expect(found).toEqual([]);
});

describe('names', () => {
  test.each(readdirSync(join(ROOT, 'schemas')))('of fields in %s', (name) => {
    const fields: string[] = [];
    JSON.parse(readFileSync(join(ROOT, 'schemas', name), 'utf8'), (key, value) => {
      if (key === 'properties') fields.push(...Object.keys(value));
      return value;
    });
    expect(fields.filter((field) => RETIRED_FIELDS.has(field))).toEqual([]);
  });

  test('of types, classes and functions', () => {
    const all = declaredNames(ROOT, 'src').filter(({ isVariable }) => !isVariable);
    expect(all.length).toBeGreaterThan(3000);
    const retired = all.filter(({ name }) => name.split(/(?=[A-Z])|_/).some((part) => RETIRED_IN_NAMES.test(part)));
    expect(retired.map(({ file, name }) => `${file}: ${name}`)).toEqual([]);
  });

  test('of variables and parameters', () => {
    const all = declaredNames(ROOT, 'src').filter(({ isVariable }) => isVariable);
    expect(all.length).toBeGreaterThan(10_000);
    const retired = all.filter(({ name }) => RETIRED_VARIABLES.has(name));
    expect(retired.map(({ file, name }) => `${file}: ${name}`)).toEqual([]);
  });

  test('of files', () => {
    const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
    const retired = files.filter((file) =>
      basename(file, '.ts')
        .split('-')
        .some((part) => RETIRED_IN_NAMES.test(part)),
    );
    expect(retired).toEqual([]);
  });
});
