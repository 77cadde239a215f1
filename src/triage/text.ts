import type { Boot } from '../log/boots.js';
import type { TextLogSummary } from '../log/reader.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding } from './finding.js';

/** What was found in a log that is text. */
export interface LogTriage {
  readonly name: string;
  /** The files that it is made of, the oldest first. */
  readonly files: readonly string[];
  readonly log: TextLogSummary;
  /** The boot that was asked for, from 1 on; undefined: all. */
  readonly boot?: number | undefined;
  readonly findings: readonly Finding[];
  /** Parts that could not be read. */
  readonly missing: readonly string[];
}

/** What was the matter, by logs that are text. */
export interface TextTriage {
  readonly logs: readonly LogTriage[];
  /** The most severe first. */
  readonly findings: readonly Finding[];
  readonly warnings: readonly Warning[];
  /** All of each log since a boot is there. */
  readonly complete: boolean;
}

/** @param missing what could not be looked at */
export function triageText(logs: readonly LogTriage[], missing: readonly string[]): TextTriage {
  const warnings = new Warnings();
  for (const message of missing) warnings.add('unreadable', message);
  for (const one of logs)
    for (const message of incompleteness(one))
      warnings.add('unreadable', logs.length > 1 ? `${one.name}: ${message}` : message);
  const list = warnings.list();
  const findings = logs.length > 1 ? findingsBeside([], logs) : (logs[0]?.findings ?? []);
  return {
    logs,
    warnings: list,
    complete: list.length === 0,
    findings: bySeverity(findings.map(({ deeper: _, ...finding }) => finding)),
  };
}

/** Findings of further logs, but for those whose lines a finding before rests on. Each names its log. */
export function findingsBeside(own: readonly Finding[], logs: readonly LogTriage[]): Finding[] {
  const keyOf = ({ code, evidence }: Finding) =>
    JSON.stringify([code, ...evidence.map((one) => (one.kind === 'log' ? one.text : ''))]);
  const known = new Set(own.map(keyOf));
  const found: Finding[] = [];
  for (const { name, findings } of logs)
    for (const finding of findings) {
      const key = keyOf(finding);
      if (!known.has(key)) found.push({ ...finding, figures: { ...finding.figures, log: name } });
      known.add(key);
    }
  return found;
}

/** Why a log, or the boot of it that was asked for, is incomplete. */
export function incompleteness({
  log,
  boot,
  missing,
}: Pick<LogTriage, 'log' | 'boot' | 'missing'>): string[] {
  const { format, boots, bootCount, cutLines } = log;
  const why = [...missing];
  if (format === undefined)
    why.push('no line has a form that is known: lines are taken as messages of a kernel');
  else why.push(...unknownBeginnings(boots, bootCount, boot));
  if (cutLines > 0) why.push(`${cutLines} lines are too long: only their first MiB was read`);
  return why;
}

function unknownBeginnings(
  boots: readonly Boot[],
  count: number,
  only: number | undefined,
): string[] {
  const unknown = boots
    .map(({ fromStart }, index) => (fromStart ? 0 : index + 1))
    .filter((boot) => boot > 0 && (only ?? boot) === boot);
  if (unknown.length === 0) return [];
  if (only !== undefined || unknown[0] === 1)
    return ['the log does not begin at a boot: what came before its oldest message is not known'];
  const first = (unknown[0] ?? 1) - count;
  return [
    `${unknown.length} of ${count} boots do not begin with their first message (boot ${first})`,
  ];
}
