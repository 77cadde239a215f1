import { z } from 'zod';
import { SEVERITIES } from '../../records/triage-codes.js';
import { type Finding, found } from '../../triage/finding.js';

/** Larger answers are not read: those of `procs` have a few hundred bytes for each process. */
const MAX_BYTES = 32 * 2 ** 20;
const MAX_CODES = 8;
const MAX_WORDS = 300;

const iso = z.iso.datetime().nullable().catch(null);
/** What is read of an answer: whoever made the bundle may have changed it, and later releases may have more. */
const answer = z.object({
  schema: z.string().regex(/^(?:kdump-mem\.(?:triage(?:-line)?|memory|procs)|skcheck)\/\d{1,3}$/),
  takenAt: iso,
  crashTime: iso,
  time: z.object({ at: iso }).nullable().catch(null),
  origin: z.object({ at: iso }).nullable().catch(null),
  complete: z.boolean().nullable().catch(null),
  /** Of a dump that could not be read. */
  error: z.object({ message: z.string() }).nullable().catch(null),
  findings: z
    .array(
      z.object({ code: z.string().regex(/^[a-z][a-z0-9-]{0,63}$/), severity: z.enum(SEVERITIES), words: z.string() }),
    )
    .nullable()
    .catch(null),
});

/**
 * The finding that a capture contains an answer of kdump-mem, with the first finding of that answer. It repeats what the
 * file says, since nothing of it can be verified.
 *
 * @param file its name in the capture
 * @returns null: no answer, or one that is damaged
 */
export function recordedAnswer(file: string, bytes: Buffer): Finding | null {
  if (bytes.length > MAX_BYTES) return null;
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  const { success, data } = answer.safeParse(json);
  if (!success) return null;
  const { schema, takenAt, crashTime, time, origin, complete, error, findings } = data;
  // Without a readable list of findings a triage proves nothing.
  if (schema.includes('triage') && findings === null && error === null) return null;
  const [first] = findings ?? [];
  const codes = [...new Set((findings ?? []).map(({ code }) => code))].slice(0, MAX_CODES);
  const isSevere = findings?.some(({ severity }) => severity !== 'note') ?? false;
  return found('recorded-answer', isSevere || error !== null ? 'warning' : 'note', {
    file,
    answer: schema,
    at: takenAt ?? origin?.at ?? crashTime ?? time?.at ?? null,
    findings: findings?.length ?? null,
    complete: complete === null ? null : Number(complete),
    codes: codes.join(' '),
    first: (first?.words ?? error?.message)?.slice(0, MAX_WORDS) ?? null,
    firstSeverity: first?.severity ?? null,
  });
}
