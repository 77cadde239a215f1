import type { TextLogSummary } from '../log/reader.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding } from './finding.js';

/** What was the matter, by a log that is text. */
export interface TextTriage {
  readonly file: string;
  readonly log: TextLogSummary;
  /** The most severe first. */
  readonly findings: readonly Finding[];
  readonly warnings: readonly Warning[];
  /** All of the log since a boot is there. */
  readonly complete: boolean;
}

/** @param why it could not be read to its end; undefined: it was */
export function triageText(
  file: string,
  log: TextLogSummary,
  findings: readonly Finding[],
  why?: string,
): TextTriage {
  const warnings = new Warnings();
  const say = (message: string): void => warnings.add('unreadable', message);
  if (why !== undefined) say(why);
  if (log.format === undefined)
    say('no line has a form that is known: lines are taken as messages of a kernel');
  else if (!log.fromBoot)
    say('the log does not begin at a boot: what came before its oldest message is not known');
  if (log.cutLines > 0) say(`${log.cutLines} lines are too long: only their first MiB was read`);
  const list = warnings.list();
  return {
    ...{ file, log, warnings: list, complete: list.length === 0 },
    findings: bySeverity(findings.map(({ deeper: _, ...finding }) => finding)),
  };
}
