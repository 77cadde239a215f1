import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pattern } from '../../../src/triage/rules/pattern.js';

test.each([
  ['abc', 'abc', {}],
  ['abc', 'abcd', undefined],
  ['abc', 'xabc', undefined],
  ['*', '', {}],
  ['a*', 'abc', {}],
  ['*c', 'abc', {}],
  ['a*c*', 'abc', {}],
  ['a*b', 'a b c', undefined],
  ['card {device}: {what}', 'card eth0: link: down', { device: 'eth0', what: 'link: down' }],
  ['*foo {n:number} bar*', 'foo x bar, foo 3 bar', { n: 3 }],
  ['cpu {n:number}', 'cpu 12', { n: 12 }],
  ['cpu {n:number}', 'cpu 12x', undefined],
  ['*{n:number}', 'cpu 12', { n: 12 }],
  ['{n:number}', '1234567890123456', undefined],
  ['a\\*\\{b\\}\\\\', 'a*{b}\\', {}],
  ['a.c', 'abc', undefined],
  ['ab*bc', 'abc', undefined],
] as const)('%j matches %j', (pattern, text, found) => {
  expect(new Pattern(pattern).match(text)).toEqual(found);
});

test.each([
  ['', 'the pattern is empty'],
  ['a**b', 'two wildcards need text between them'],
  ['a{b}*', 'two wildcards need text between them'],
  ['{a}{b}', 'two wildcards need text between them'],
  ['{a:number}{b:number}', 'two wildcards need text between them'],
  ['{a} {a}', 'two captures have the same name'],
  ['{a b}', 'malformed capture: write {name} or {name:number}, or \\{ for the character'],
  ['{a:hex}', 'malformed capture: write {name} or {name:number}, or \\{ for the character'],
  ['a\\', 'nothing follows the last \\'],
  ['x'.repeat(513), 'the pattern is longer than 512 characters'],
])('refuses %j', (pattern, words) => {
  expect(() => new Pattern(pattern)).toThrow(new SyntaxError(words));
});

test('matches like the equivalent regular expression', () => {
  const part = fc.oneof(fc.constantFrom('a', 'b', 'ab', '1', ' '), fc.constant('*'), fc.constant('{n:number}'));
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 6 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '1', ' '), maxLength: 12 }),
      (parts, text) => {
        const source = parts.filter((one, at) => one === ' ' || one.length < 3 || at === parts.lastIndexOf(one));
        const joined = source.join('').replace(/\*+/g, '*');
        // Adjacent digits may be assigned to either number.
        fc.pre(joined !== '' && !/\d\{|\}\d/.test(joined));
        const regex = joined.replaceAll('*', '.*').replaceAll('{n:number}', '(?<!\\d)\\d{1,15}(?!\\d)');
        expect(new Pattern(joined).match(text) !== undefined).toBe(new RegExp(`^${regex}$`).test(text));
      },
    ),
    { numRuns: 3000 },
  );
});

test('terminates quickly for patterns that make regular expressions backtrack', () => {
  const pattern = new Pattern(`${'a*'.repeat(250)}b`);
  expect(pattern.match('a'.repeat(1024))).toBeUndefined();
  expect(new Pattern('*a{n:number}a*a{m:number}b').match('a1'.repeat(500))).toBeUndefined();
});
