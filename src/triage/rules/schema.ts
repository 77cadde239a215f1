import { z } from 'zod';
import { bytesOf } from '../../base/quantity.js';
import { CATEGORIES } from '../../records/categories.js';
import { SEVERITIES } from '../../records/triage-codes.js';
import { TASK_STATES } from '../../records/waits.js';
import { FINDING_CODES } from '../findings/all.js';
import { Pattern } from './pattern.js';

/** A file of custom rules, version 1. Docs: docs/rules.md. */

const MAX_WORDS = 1000;
const words = z.string().trim().min(1).max(MAX_WORDS);

const pattern = z.string().transform((source, context) => {
  try {
    return new Pattern(source);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});

/** Bytes: a number, or `512 MiB`. */
const bytes = z.union([z.number(), z.string()]).transform((size, context) => {
  const bytes = typeof size === 'number' ? size : bytesOf(size);
  if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
  context.addIssue({ code: 'custom', message: 'must be a number of bytes, or a size such as 512 MiB' });
  return z.NEVER;
});

const share = z.number().min(0).max(1);
const category = z.enum([...CATEGORIES, 'memory', 'free', 'applications-and-files', 'kernel', 'reserved']);
const severity = z.enum(SEVERITIES);
const code = z.enum(FINDING_CODES);
/** Code of a team's rule: built-in codes have no slash. */
const OWN = /^[a-z0-9][a-z0-9-]{0,40}\/[a-z0-9][a-z0-9-]{0,60}$/;
const ownCode = z.string().regex(OWN, { error: 'must have your name before it, such as acme/bad-nic' });

const figure = z.union(
  [z.number(), pattern, z.strictObject({ atLeast: z.number().optional(), atMost: z.number().optional() })],
  { error: 'must be a number, a pattern, or atLeast and atMost' },
);
const figures = z.record(z.string(), figure);

const bounded = (has: object) => Object.keys(has).some((key) => /^at(Least|Most)/.test(key));
const UNBOUNDED = { error: 'has no bound: add atLeast… or atMost…' };

const conditions = {
  /** A line of the kernel log. */
  log: pattern.optional(),
  /** Reason of the panic, without "Kernel panic - not syncing: ". */
  panic: pattern.optional(),
  /** `uname -r`. */
  release: pattern.optional(),
  /** Letters of taint flags that must all be set, such as `OE`. */
  taint: z
    .string()
    .regex(/^[A-Z]{1,20}$/, { error: 'must be taint letters, such as OE' })
    .optional(),
  /** A loaded module. */
  module: pattern.optional(),
  memory: z
    .strictObject({
      category,
      atLeastBytes: bytes.optional(),
      atMostBytes: bytes.optional(),
      atLeastShare: share.optional(),
      atMostShare: share.optional(),
    })
    .refine(bounded, UNBOUNDED)
    .optional(),
  owner: z
    .strictObject({
      name: pattern,
      category: category.optional(),
      atLeastBytes: bytes.optional(),
      atLeastShare: share.optional(),
    })
    .refine(bounded, UNBOUNDED)
    .optional(),
  finding: z.strictObject({ code, severity: severity.optional(), figures: figures.optional() }).optional(),
  /** A function on a task's stack. */
  stack: z.strictObject({ symbol: pattern, state: z.enum(TASK_STATES).optional() }).optional(),
  tasks: z
    .strictObject({
      state: z.enum(TASK_STATES),
      atLeast: z.int().nonnegative().optional(),
      atMost: z.int().nonnegative().optional(),
    })
    .refine(bounded, UNBOUNDED)
    .optional(),
};

const isAsked = (when: object) => Object.keys(when).length > 0;
const NOTHING = { error: 'must have at least one condition' };
const condition = z.strictObject(conditions).refine(isAsked, NOTHING);

const rule = z.strictObject({
  code: ownCode,
  severity,
  when: z
    .strictObject({ ...conditions, any: z.array(condition).min(1).max(50).optional(), not: condition.optional() })
    .refine(isAsked, NOTHING),
  /** The sentence, with `{name}` for a figure. */
  message: words,
  advice: words.optional(),
  /** The command that shows more, without the dump. */
  next: words.optional(),
  /** Codes of findings that follow from this one. */
  causes: z.array(code.or(ownCode)).max(50).optional(),
});

const adjustment = z.strictObject({
  finding: z
    .string()
    .refine((text) => code.safeParse(text).success || OWN.test(text), {
      error: 'must be the code of a finding, built-in or your own',
    }),
  where: z
    .strictObject({ severity: severity.optional(), figures: figures.optional() })
    .refine(isAsked, NOTHING)
    .optional(),
  /** The new severity; `silent`: counted, not listed. */
  severity: z.enum([...SEVERITIES, 'silent']),
  because: words,
});

export const rulesSchema = z
  .strictObject({
    schema: z.literal('kdump-mem.rules/1'),
    rules: z.array(rule).max(1000).default([]),
    adjust: z.array(adjustment).max(1000).default([]),
  })
  .superRefine(({ rules }, context) => {
    const seen = new Set<string>();
    for (const [index, { code: own }] of rules.entries()) {
      if (seen.has(own))
        context.addIssue({ code: 'custom', path: ['rules', index, 'code'], message: `duplicate code ${own}` });
      seen.add(own);
    }
  });

export type Rules = z.infer<typeof rulesSchema>;
export type Rule = Rules['rules'][number];
export type Adjustment = Rules['adjust'][number];
/** Conditions that must all hold. */
export type Condition = z.infer<typeof condition>;
export type FigureTests = z.infer<typeof figures>;
