import { z } from 'zod';
import { capturedSchema } from '../captured-schema.js';
import { warningSchema } from '../schema.js';
import { findingSchema, triageSchema } from './schema.js';

/** `triage --from FILE --json`, version 1. */
export const hostTriageSchema = z.strictObject({
  schema: z.literal('kdump-mem.host-triage/1'),
  captured: capturedSchema,
  /** Null: unknown. */
  release: z.string().nullable(),
  /** The most severe first. */
  findings: z.array(findingSchema),
  /** Messages of the log that newer ones have overwritten; null: not known. */
  overwritten: z.int().nonnegative().nullable(),
  /** Categories of `memory` that have something, by counters; null: they could not be counted. */
  memory: triageSchema.shape.memory,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type HostTriageJson = z.infer<typeof hostTriageSchema>;
