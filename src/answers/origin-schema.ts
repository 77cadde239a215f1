import { z } from 'zod';

/**
 * When an answer's source was looked at (of a dump: its clock's last tick), and of which boot of which machine;
 * null: it is not told. `kdump-mem diff` holds answers against each other by that.
 */
export const originSchema = z
  .strictObject({
    at: z.iso.datetime().nullable(),
    host: z.string().nullable(),
    /** Another one after each boot. */
    bootId: z.string().nullable(),
    uptimeSeconds: z.number().nonnegative().nullable(),
  })
  .nullable();

export type OriginJson = z.infer<typeof originSchema>;
