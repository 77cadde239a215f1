import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { RulesError, readRules } from '../../../src/triage/rules/read.js';

const HEAD = 'schema: kdump-mem.rules/1\nrules:\n';
const rule = (when: string, more = '') =>
  `${HEAD}  - code: acme/a\n    severity: note\n    when: ${when}\n    message: 'x'\n${more}`;

test('accepts the example of the docs, and JSON', () => {
  const read = readRules('rules.yaml', readFileSync('docs/rules.yaml', 'utf8'));
  expect(read.rules.map(({ code }) => code)).toContain('acme/batch-too-large');
  expect(read.rules[1]?.when.any?.[0]?.owner?.atLeastBytes).toBe(2 ** 28);
  expect(read.adjust).toHaveLength(3);
  const json = { schema: 'kdump-mem.rules/1', adjust: [] };
  expect(readRules('r.json', JSON.stringify(json, null, 1))).toMatchObject({ rules: [] });
});

test.each([
  ['', 'r:1: the file: invalid input: expected object, received null'],
  ['schema: kdump-mem.rules/2', 'r:1: schema: invalid input: expected "kdump-mem.rules/1"'],
  ['schema: kdump-mem.rules/1\nrulez: []', 'r:2: rulez: unknown field'],
  [rule('{ logs: x }'), 'r:5: rules[0].when.logs: unknown field (and 1 more)'],
  [rule('{}'), 'r:5: rules[0].when: must have at least one condition'],
  [rule("{ log: 'a**' }"), 'r:5: rules[0].when.log: two wildcards need text between them'],
  [
    rule('{ memory: { category: page-cache, atLeastBytes: lots } }'),
    'r:5: rules[0].when.memory.atLeastBytes: must be a number of bytes, or a size such as 512 MiB',
  ],
  [rule('{ memory: { category: page-cache } }'), 'r:5: rules[0].when.memory: has no bound: add atLeast… or atMost…'],
  [
    rule('{ release: x }').replace('acme/a', 'panic'),
    'r:3: rules[0].code: must have your name before it, such as acme/bad-nic',
  ],
  [
    rule('{ release: x }').replace("'x'", "'{bytes}'"),
    /^r:6: rules\[0\]\.message: unknown figure \{bytes\}; the conditions provide kernelRelease$/,
  ],
  [rule("{ release: '{stackPid}' }"), /^r:5: rules\[0\]\.when: \{stackPid\} is the name of a figure/],
  [
    rule('{ release: x }').replace('note', 'fatal'),
    /^r:4: rules\[0\]\.severity: invalid option: expected one of "critical"/,
  ],
  [
    `${rule('{ release: x }')}  - code: acme/a\n    severity: note\n    when: { release: y }\n    message: z\n`,
    'r:7: rules[1].code: duplicate code acme/a',
  ],
  [
    rule('{ release: x }', 'adjust:\n  - finding: panics\n    severity: silent\n    because: x\n'),
    'r:8: adjust[0].finding: must be the code of a finding, built-in or your own',
  ],
  [
    rule('{ release: x }', 'adjust:\n  - finding: panic\n    severity: silent\n'),
    /^r:8: adjust\[0\]\.because: invalid input/,
  ],
  ['schema: a\nschema: b', /^r: Map keys must be unique at line 2, column 1$/],
  ['schema: "', /^r: Missing closing "quote at line 1/],
])('names line and field of the error in %j', (text, words) => {
  const failed = () => readRules('r', text);
  expect(failed).toThrow(RulesError);
  if (typeof words === 'string') expect(failed).toThrow(new RulesError(words));
  else expect(failed).toThrow(words);
});

test('reports the first of several errors, and the number of others', () => {
  const text = rule('{ log: "", release: "", panic: "" }');
  expect(() => readRules('r', text)).toThrow('r:5: rules[0].when.log: the pattern is empty (and 2 more)');
});

test('refuses aliases that expand without limit', () => {
  const lines = ['schema: kdump-mem.rules/1', 'a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let level = 1; level < 9; level++)
    lines.push(
      `a${level}: &a${level} [${Array(9)
        .fill(`*a${level - 1}`)
        .join(', ')}]`,
    );
  expect(() => readRules('r', lines.join('\n'))).toThrow(RulesError);
});
