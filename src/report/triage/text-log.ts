import { z } from 'zod';
import type { TextTriage } from '../../triage/text.js';
import { CORRUPTIONS_EXPLAINED } from '../explain/findings.js';
import { textLogJson } from '../log/json.js';
import { textLogSchema } from '../log/schema.js';
import { textLogWords } from '../log/text.js';
import { warningSchema } from '../schema.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { findingJson } from './json.js';
import { findingSchema } from './schema.js';
import { findingLines, severeWords, type TriageTextOptions } from './text.js';

/** `triage FILE --json` of logs that are text, version 1. */
export const textTriageSchema = z.strictObject({
  schema: z.literal('kdump-mem.text-triage/1'),
  /** Logs with messages of a kernel; of several each finding names its own (figure `log`). */
  logs: z.array(textLogSchema),
  /** The most severe first. */
  findings: z.array(findingSchema),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export function textTriageJson(answer: TextTriage): z.infer<typeof textTriageSchema> {
  const { logs, findings, complete, warnings } = answer;
  return {
    schema: 'kdump-mem.text-triage/1',
    logs: logs.map(textLogJson),
    findings: findings.map(findingJson),
    complete,
    warnings: [...warnings],
  };
}

/** What was recognized, then each finding with its title. */
export function textTriageText(
  { logs, findings, complete }: TextTriage,
  options: TriageTextOptions,
): string {
  const logsWords = logs.length > 1 ? 'the logs are' : 'the log is';
  const none = findings.length > 0 ? 'Only notes were found' : 'No finding';
  const found =
    severeWords(findings, complete) ??
    (complete ? `${none}.` : `${none}, and ${logsWords} incomplete.`);
  const [only, ...others] = logs;
  const read =
    others.length === 0
      ? wrap(`${only ? textLogWords(only.log) : ''}. ${found}`, options.width)
      : [
          ...logs.flatMap(({ name, log }) =>
            wrap(`${escapeText(name)}: ${textLogWords(log)}.`, options.width),
          ),
          ...['', ...wrap(found, options.width)],
        ];
  const lines = [...read, ''];
  for (const finding of findings) {
    const corrupted = finding.report?.corrupted;
    const title = finding.title === undefined ? [] : [escapeText(finding.title)];
    const note =
      corrupted == null ? [] : [`Corrupted report: ${CORRUPTIONS_EXPLAINED[corrupted].means}`];
    lines.push(...title, ...findingLines(finding, options), ...note, '');
  }
  return lines.join('\n').trimEnd();
}
