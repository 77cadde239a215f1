import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import { CHECK_CODES } from '../../doctor/checks.js';

/** `kdump-mem doctor --json`, version 1. */
export const doctorSchema = z.strictObject({
  schema: z.literal('kdump-mem.doctor/1'),
  version: z.string(),
  node: z.string(),
  checks: z.array(
    z.strictObject({
      code: z.enum(CHECK_CODES),
      state: z.enum(['works', 'partly', 'refused', 'missing']),
      /** A version or a source, or why it cannot be used. */
      found: z.string(),
      /** Commands that need it. */
      needs: z.array(z.string()),
      /** What works without the feature, and the remedy. */
      without: z.string(),
      remedy: z.string(),
    }),
  ),
});

export type DoctorJson = Immutable<z.infer<typeof doctorSchema>>;
