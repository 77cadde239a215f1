import type { CommandUnknownOpts } from 'commander';
import { expect, test } from 'vitest';
import { explained, explainJson, explainText, KINDS, listText } from '../../../src/answers/explain/codes.js';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { skcheckCommand } from '../../../src/app/skcheck/options.js';
import { explainSchema } from '../../../src/contracts/explain.js';
import { WARNING_CODES } from '../../../src/records/warnings.js';
import { FINDING_CODES } from '../../../src/triage/findings/all.js';
import { commands } from '../../support/commands.js';

// The compiler checks the explanations of each kind against its codes.
test.each(KINDS)('$kind: lists its codes', ({ codes }) => {
  expect(codes.length).toBeGreaterThan(1);
});

test.each([
  ['network: socket queues', 'network-sockets'],
  ['Page cache', 'page-cache'],
  ['Stalled reader', 'stalled-reader'],
  ['low memory', 'low-memory'],
])('explains printed labels too: %s', (printed, code) => {
  expect(new Set(explained(printed).map((one) => one.code))).toEqual(new Set([code]));
  expect(explained('no such label')).toEqual([]);
});

test('includes the codes that answers print', () => {
  const codesOf = (wanted: string) => KINDS.find(({ kind }) => kind === wanted)?.codes;
  expect(codesOf('finding')).toEqual(FINDING_CODES);
  expect(codesOf('warning')).toEqual(WARNING_CODES);
  const warnings = skcheckSchema.shape.warnings.element.shape.code.options;
  expect(codesOf('skcheck-warning')).toEqual(warnings);
  const verdicts = skcheckSchema.shape.sockets.element.shape.stalled.shape.verdict.options;
  expect(codesOf('verdict')).toEqual(expect.arrayContaining(verdicts));
});

test.each(explained())('$kind $code is explained in sentences', ({ means, known, next }) => {
  for (const words of [means, known, next]) expect(words).toMatch(/^[^\s].*[.)?:\w]$/);
  expect(means).toMatch(/[.]$/);
  expect(means.length).toBeGreaterThan(15);
});

const programs = new Map<string, CommandUnknownOpts>([['skcheck', skcheckCommand()]]);
for (const command of await commands()) programs.set(`kdump-mem ${command.name()}`, command);

/** Options of a command line that the program does not have; undefined: unknown program. */
function unknownOptions(line: string): string[] | undefined {
  const words = line.split(' ');
  const program = programs.get(words[0] === 'skcheck' ? 'skcheck' : words.slice(0, 2).join(' '));
  const has = (word: string) => program?.options.some(({ short, long }) => word === short || word === long);
  return program && words.filter((word) => word.startsWith('-') && !/^-\d/.test(word) && !has(word));
}

test('suggested commands and their options exist', () => {
  const lines = new Set(explained().flatMap(({ deeper }) => deeper ?? []));
  expect(lines.size).toBeGreaterThan(20);
  for (const line of lines) expect([line, unknownOptions(line)]).toEqual([line, []]);
  expect(unknownOptions('kdump-mem log --never')).toEqual(['--never']);
  expect(unknownOptions('kdump-mem never')).toBeUndefined();
});

test('JSON contains everything and conforms to its schema', () => {
  const json = explainSchema.parse(explainJson(explained()));
  expect(json.codes.length).toBe(KINDS.reduce((sum, { codes }) => sum + codes.length, 0));
  expect(json.codes).toContainEqual(expect.objectContaining({ kind: 'finding', code: 'panic' }));
});

test('fits 80 columns, and without a terminal lists one code per line', () => {
  for (const text of [explainText(explained(), 80), listText(explained(), 80)])
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  const lines = listText(explained(), null).split('\n');
  for (const { code } of explained())
    expect(lines.filter((line) => line.trimStart().startsWith(`${code} `)).length).toBeGreaterThan(0);
});

test('explains a code of two kinds twice', () => {
  const text = explainText(explained('undecided'), null);
  expect(text).toMatch(/^undecided \(Verdicts of skcheck\)$/m);
  expect(text).toMatch(/^undecided \(Warnings of skcheck\)$/m);
});
