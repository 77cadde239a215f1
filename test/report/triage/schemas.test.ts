import { expect, test } from 'vitest';
import { z } from 'zod';
import { triageEndSchema, triageLineSchema } from '../../../src/report/triage/line-schema.js';

// `npx vitest run --project quick test/report/triage/schemas.test.ts -u` writes them.
test.each([
  ['triage-line-1', triageLineSchema],
  ['triage-end-1', triageEndSchema],
])('docs/schemas/%s.json is what lines are held against', async (name, schema) => {
  const published = z.toJSONSchema(schema, {
    // Within a version fields are added.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  const text = `${JSON.stringify({ $id: `urn:kdump-mem:${name}`, ...published }, null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(`../../../docs/schemas/${name}.json`);
});
