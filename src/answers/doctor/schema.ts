import { z } from 'zod';
import { CHECK_CODES } from '../../doctor/check.js';

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
      /** What works all the same where it cannot be used, and what to do about it. */
      without: z.string(),
      remedy: z.string(),
    }),
  ),
});

export type DoctorJson = z.infer<typeof doctorSchema>;
