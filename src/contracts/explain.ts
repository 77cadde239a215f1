import { z } from 'zod';
import type { Immutable } from '../base/util.js';

/** `kdump-mem explain --json`, version 1. */
export const explainSchema = z.strictObject({
  schema: z.literal('kdump-mem.explain/1'),
  codes: z.array(
    z.strictObject({
      /**
       * Kind of the code: `finding`, `warning`, `category`, `verdict`, …. Two kinds may contain the same
       * code.
       */
      kind: z.string(),
      code: z.string(),
      means: z.string(),
      known: z.string(),
      next: z.string(),
      /** The command that prints details, without the dump; null: none. */
      deeper: z.string().nullable(),
    }),
  ),
});

export type ExplainJson = Immutable<z.infer<typeof explainSchema>>;

/** Explanation of a code. It contains no data from a dump. */
export interface Explanation {
  /** Meaning of the code, and its consequence. */
  readonly means: string;
  /** How it is known: kernel source, kernel documentation, or a comparison by this program. */
  readonly known: string;
  /** Recommended action. */
  readonly next: string;
  /** The command that prints details, complete except for the dump; undefined: none. */
  readonly deeper?: string;
}

/** Explanations of all codes of a kind. */
export type Explanations<Code extends string> = Readonly<Record<Code, Explanation>>;

/**
 * A section of a page of src/codes. An error of the compiler names the page if a code of the program has no explanation
 * there, or an explanation has no code.
 */
export type Section<_Page extends string, Code extends string> = { readonly [Each in Code]: Explanation };
