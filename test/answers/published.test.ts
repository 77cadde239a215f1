import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { schemas } from '../../src/answers/published.js';
import { publishedForm as formOf, publishedName } from '../../src/answers/published-form.js';
import { brokenPromises, type JsonSchema } from '../support/schema-changes.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** kdump-mem.triage-line/1 is in triage-line-1.json. */
const fileOf = (name: string) => `${publishedName(name)}.json`;

const publishedForm = (name: string, schema: z.ZodType) => formOf(name, schema) as JsonSchema;

// `npx vitest run --project unit test/answers/published.test.ts -u` writes additions. It still
// refuses a breaking change: that needs another version, and so another file.
describe.each(Object.entries(schemas))('%s', (name, schema) => {
  const file = `${ROOT}schemas/${fileOf(name)}`;
  const now = publishedForm(name, schema);

  test('keeps its promises', () => {
    if (!existsSync(file)) return;
    const before: JsonSchema = JSON.parse(readFileSync(file, 'utf8'));
    expect(brokenPromises(before, now)).toEqual([]);
  });

  test('is published unchanged', async () => {
    const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : now;
    expect(brokenPromises(before, now)).toEqual([]);
    await expect(`${JSON.stringify(now, null, 2)}\n`).toMatchFileSnapshot(file);
  });

  test('contains its own name', () => {
    expect(now.properties?.schema).toMatchObject({ const: name });
  });
});

/** Files that people write for kdump-mem. */
const READ = ['kdump-mem.rules/1'];

test('every answer has a schema, and every schema an answer', () => {
  const sources = readdirSync(`${ROOT}src`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('answers/published.ts'))
    .map((file) => readFileSync(`${ROOT}src/${file}`, 'utf8'));
  const printed = sources.flatMap((text) =>
    [...text.matchAll(/schema: (?:z\.literal\()?'((?:kdump-mem\.|skcheck)[a-z-]*\/\d+)'/g)].map(([, name]) => name),
  );
  expect([...new Set(printed)].filter((name) => !READ.includes(name ?? '')).toSorted()).toEqual(
    Object.keys(schemas).toSorted(),
  );
  expect(readdirSync(`${ROOT}schemas`).toSorted()).toEqual(Object.keys(schemas).map(fileOf).toSorted());
});

describe('a promise is broken', () => {
  const before = z.strictObject({
    schema: z.literal('x/1'),
    bytes: z.int().nonnegative(),
    name: z.string().nullable(),
    rows: z.array(z.strictObject({ code: z.enum(['a', 'b']), at: z.iso.datetime() })),
  });
  const changes = (after: z.ZodType) => brokenPromises(publishedForm('x/1', before), publishedForm('x/1', after));

  test.each([
    ['by a removed field', before.omit({ bytes: true }), ['$.bytes is gone']],
    ['by a field that became optional', before.partial({ name: true }), ['$.name may be absent']],
    ['by another type', before.extend({ bytes: z.string() }), ['$.bytes was integer']],
    [
      'by a fraction',
      before.extend({ bytes: z.number().min(0).max(Number.MAX_SAFE_INTEGER) }),
      ['$.bytes was integer'],
    ],
    ['by null', before.extend({ bytes: z.int().nonnegative().nullable() }), ['$.bytes was integer']],
    ['by numbers below 0', before.extend({ bytes: z.int() }), ['$.bytes had minimum 0']],
    [
      'by a removed code',
      before.extend({ rows: z.array(z.strictObject({ code: z.enum(['a', 'c']), at: z.iso.datetime() })) }),
      ['$.rows[].code may be b no more'],
    ],
    ['by another name', before.extend({ schema: z.literal('x/2') }), ['$.schema was x/1']],
    [
      'deeper, in a list',
      before.extend({ rows: z.array(z.strictObject({ code: z.enum(['a', 'b']) })) }),
      ['$.rows[].at is gone'],
    ],
    [
      'by a value that is not a time',
      before.extend({ rows: z.array(z.strictObject({ code: z.enum(['a', 'b']), at: z.string() })) }),
      ['$.rows[].at had format date-time', expect.stringContaining('$.rows[].at had pattern')],
    ],
  ])('%s', (_, after, broken) => {
    expect(changes(after)).toEqual(broken);
  });

  test.each([
    ['by no change', before],
    ['not by an additional field', before.extend({ more: z.string() })],
    [
      'not by an additional code',
      before.extend({ rows: z.array(z.strictObject({ code: z.enum(['a', 'b', 'c']), at: z.iso.datetime() })) }),
    ],
    ['not by a removed null', before.extend({ name: z.string() })],
  ])('%s', (_, after) => {
    expect(changes(after)).toEqual([]);
  });

  test('reports a change in a recursive type once', () => {
    const tree = (bytes: z.ZodType): z.ZodType => {
      const node: z.ZodType = z.lazy(() => z.strictObject({ bytes, children: z.array(node) }));
      return z.strictObject({ schema: z.literal('x/1'), root: node });
    };
    const [old, now] = [tree(z.int()), tree(z.string())].map((each) => publishedForm('x/1', each));
    expect(brokenPromises(old as JsonSchema, old as JsonSchema)).toEqual([]);
    expect(brokenPromises(old as JsonSchema, now as JsonSchema)).toContain('$.root.bytes was integer');
  });
});
