import { z } from 'zod';

/** `kdump-mem explain --json`, version 1. */
export const explainSchema = z.strictObject({
  schema: z.literal('kdump-mem.explain/1'),
  codes: z.array(
    z.strictObject({
      /** What the code is of: `finding`, `warning`, `category`, `verdict`, …. Two kinds can have the same code. */
      kind: z.string(),
      code: z.string(),
      means: z.string(),
      known: z.string(),
      next: z.string(),
      /** The command that tells more, but for the dump; null: there is none. */
      deeper: z.string().nullable(),
    }),
  ),
});

export type ExplainJson = z.infer<typeof explainSchema>;
