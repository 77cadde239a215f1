import { z } from 'zod';

/** Name of the file of a schema: `triage-line-1` of `kdump-mem.triage-line/1`. */
export function publishedName(name: string): string {
  return name.replace(/^kdump-mem\./, '').replace('/', '-');
}

/** JSON Schema of an answer as it is published. */
export function publishedForm(name: string, schema: z.ZodType): Record<string, unknown> {
  const json = z.toJSONSchema(schema, {
    // As JSON has it, before addresses are decoded.
    io: 'input',
    // Within a version fields are added, and codes: programs that read by this schema read those too.
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      if (jsonSchema.enum?.every((value) => typeof value === 'string')) {
        jsonSchema.examples = jsonSchema.enum;
        delete jsonSchema.enum;
      }
    },
  });
  return { $id: `urn:kdump-mem:${publishedName(name)}`, ...json };
}
