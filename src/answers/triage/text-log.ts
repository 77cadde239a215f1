import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import type { TextTriage } from '../../triage/text.js';
import { CORRUPTIONS_EXPLAINED } from '../explain/findings.js';
import { textLogJson, textLogWords } from '../log/render.js';
import { textLogSchema } from '../log/schema.js';
import { warningSchema } from '../schema.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { causesJson, concluded } from './causes.js';
import { findingJson } from './json.js';
import { causesShape, findingSchema, triageSchema } from './schema.js';
import { conclusionLines, findingLines, notesWords, severeWords, type TriageTextOptions, treeLines } from './text.js';
import { rulesLines } from './words.js';

/** `triage FILE --json` of logs that are text, version 1. */
export const textTriageSchema = z.strictObject({
  schema: z.literal('kdump-mem.text-triage/1'),
  /** Logs with kernel messages; if there are several, each finding names its own (figure `log`). */
  logs: z.array(textLogSchema),
  /** The most severe first. */
  findings: z.array(findingSchema),
  ...causesShape,
  /** Absent: no custom rules. */
  rules: triageSchema.shape.rules,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export function textTriageJson(answer: TextTriage): Immutable<z.infer<typeof textTriageSchema>> {
  const { logs, findings, rules, complete, warnings } = answer;
  return {
    schema: 'kdump-mem.text-triage/1',
    logs: logs.map(textLogJson),
    findings: findings.map(findingJson),
    ...causesJson(findings, { uptimeSeconds: undefined, complete }),
    ...(rules ? { rules } : {}),
    complete,
    warnings,
  };
}

/** The log’s format, then each finding with its title. */
export function textTriageText(answer: TextTriage, options: TriageTextOptions): string {
  const { logs, findings, rules } = answer;
  const found = foundWords(answer);
  const [only, ...others] = logs;
  const read =
    others.length === 0
      ? wrap(
          `${only && only.name !== options.source ? `${escapeText(only.name)}: ` : ''}${only ? textLogWords(only.log) : ''}. ${found}`,
          options.width,
        )
      : [
          ...logs.flatMap(({ name, log }) => wrap(`${escapeText(name)}: ${textLogWords(log)}.`, options.width)),
          '',
          ...wrap(found, options.width),
        ];
  const { sentences, trees } = concluded(findings, {
    uptimeSeconds: undefined,
    complete: answer.complete,
  });
  const lines = [...read, ...conclusionLines(sentences, options), ''];
  lines.push(
    ...treeLines(trees, options, (finding, of) => {
      const corrupted = finding.report?.corrupted;
      const note = corrupted == null ? [] : [`Corrupted report: ${CORRUPTIONS_EXPLAINED[corrupted].means}`];
      return [...findingLines(finding, of, true), ...note];
    }),
  );
  if (rules) lines.push(...rulesLines(rules).flatMap((line) => wrap(line, options.width)));
  return lines.join('\n').trimEnd();
}

/** The number of findings, in a sentence. */
export function foundWords({ logs, findings, rules, complete }: TextTriage): string {
  const logsWords = logs.length > 1 ? 'the logs are' : 'the log is';
  const silenced = rules?.silenced.length ? ' except those silenced by rules' : '';
  const none = notesWords(findings) ?? `No findings${silenced}`;
  return (
    severeWords(findings, complete, `${logsWords} incomplete`) ??
    (complete ? `${none}.` : `${none}, but ${logsWords} incomplete.`)
  );
}
