import { z } from 'zod';

/** `--from`: whose capture it is, and of when; null: it is no capture. */
export const capturedSchema = z
  .strictObject({ host: z.string().nullable(), takenAt: z.iso.datetime().nullable() })
  .nullable();

export type CapturedJson = z.infer<typeof capturedSchema>;
