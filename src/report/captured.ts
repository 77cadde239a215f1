import { z } from 'zod';
import type { CapturedOf } from '../captured-of.js';
import { escapeText } from './text/escape.js';

/** `--from`: whose capture it is, and of when; null: it is no capture. */
export const capturedSchema = z
  .strictObject({ host: z.string().nullable(), takenAt: z.iso.datetime().nullable() })
  .nullable();

export function capturedJson(captured: CapturedOf | undefined): z.infer<typeof capturedSchema> {
  if (!captured) return null;
  const { name, taken } = captured;
  return { host: name ?? null, takenAt: taken?.toISOString() ?? null };
}

/** `captured of HOST at TIME` */
export function capturedWords({ name, taken }: CapturedOf): string {
  const whose = name === undefined ? '' : ` of ${escapeText(name)}`;
  return `captured${whose}${taken ? ` at ${taken.toISOString()}` : ', nothing says when'}`;
}
