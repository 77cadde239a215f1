import { z } from 'zod';
import type { TextTriage } from '../../triage/text.js';
import { CORRUPTIONS_EXPLAINED } from '../explain/findings.js';
import { textLogWords } from '../log/text.js';
import { warningSchema } from '../schema.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { findingJson } from './json.js';
import { findingSchema } from './schema.js';
import { findingLines, type TriageTextOptions } from './text.js';

const count = z.int().nonnegative();

/** `triage FILE --json` of a log that is text, version 1. */
export const textTriageSchema = z.strictObject({
  schema: z.literal('kdump-mem.text-triage/1'),
  file: z.string(),
  log: z.strictObject({
    /** `dmesg`, `syslog or journal`, …; null: lines have no form that is known. */
    format: z.string().nullable(),
    messages: count,
    lines: count,
    bytes: count,
    /** Boots that are noticed, the last one’s release, and whether the log begins at one. */
    boots: count,
    release: z.string().nullable(),
    fromBoot: z.boolean(),
  }),
  /** The most severe first. */
  findings: z.array(findingSchema),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export function textTriageJson(answer: TextTriage): z.infer<typeof textTriageSchema> {
  const { file, log, findings, complete, warnings } = answer;
  const { messages, lines, bytes, boots, fromBoot } = log;
  return {
    schema: 'kdump-mem.text-triage/1',
    file,
    log: {
      ...{ format: log.format ?? null, messages, lines, bytes, boots },
      ...{ release: log.release ?? null, fromBoot },
    },
    findings: findings.map(findingJson),
    complete,
    warnings: [...warnings],
  };
}

/** What was recognized, then each finding with its title. */
export function textTriageText(
  { log, findings, complete }: TextTriage,
  options: TriageTextOptions,
): string {
  const [grave, wrong] = (['critical', 'warning'] as const).map(
    (severity) => findings.filter((finding) => finding.severity === severity).length,
  );
  const found =
    findings.length === 0
      ? complete
        ? 'No finding.'
        : 'No finding, and the log is incomplete.'
      : `${complete ? '' : 'At least '}${grave} critical, ${wrong} ${wrong === 1 ? 'warning' : 'warnings'}.`;
  const lines = [...wrap(`${textLogWords(log)}. ${found}`, options.width), ''];
  for (const finding of findings) {
    const corrupted = finding.report?.corrupted;
    const title = finding.title === undefined ? [] : [escapeText(finding.title)];
    const note =
      corrupted == null ? [] : [`Corrupted report: ${CORRUPTIONS_EXPLAINED[corrupted].means}`];
    lines.push(...title, ...findingLines(finding, options), ...note, '');
  }
  return lines.join('\n').trimEnd();
}
