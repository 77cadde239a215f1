import type { LogRecord, TextRecord } from '../../log-records.js';
import type { Figure, Finding } from '../finding.js';
import { AllocationFailureReader } from './allocation-failure.js';
import { ByCaller } from './by-caller.js';
import { evidenceOf, groupsIn, type LogMessage, messageOf } from './lines.js';
import { OomReader } from './oom.js';
import { OOPS_BY, OopsReader } from './oops.js';
import { PATTERNS, type Pattern } from './patterns.js';

/**
 * Different findings of one code and severity: a log that is full of one hides no other. Of those beyond
 * the last is told, and how many there were.
 */
const MOST_ALIKE = 50;

/** Of those of many lines: what makes two of them the same. */
const SAME = ['scope', 'cgroup', 'comm', 'order'];

/** Lines that one finding shows: the first, and the last ones. */
const MOST_EVIDENCE = 4;

/** What a kernel's log tells that somebody should know of, in the order of when it was first told. */
export function logFindings(
  records: Iterable<LogRecord | TextRecord>,
  pageSize: number,
): Finding[] {
  const findings = new LogFindings(pageSize);
  for (const record of records) findings.take(record);
  return findings.finish();
}

/** The same, message by message: memory does not grow with the log. */
export class LogFindings {
  readonly #found = new Found();
  readonly #readers: readonly { readonly reader: ByCaller; readonly by: readonly string[] }[];

  constructor(pageSize: number) {
    this.#readers = [
      { reader: new ByCaller(() => new OomReader(pageSize)), by: SAME },
      { reader: new ByCaller(() => new AllocationFailureReader(pageSize)), by: SAME },
      { reader: new ByCaller(() => new OopsReader()), by: OOPS_BY },
    ];
  }

  take(record: LogRecord | TextRecord): void {
    const message = messageOf(record);
    if (message === undefined) return;
    for (const { reader, by } of this.#readers)
      for (const finding of reader.take(message)) this.#found.add(finding, by);
    const known = match(message);
    if (known) this.#found.add(known.finding, known.by);
  }

  finish(): Finding[] {
    for (const { reader, by } of this.#readers)
      for (const finding of reader.end()) this.#found.add(finding, by);
    return this.#found.list();
  }
}

function match(message: LogMessage): { finding: Finding; by: Pattern['by'] } | undefined {
  if (message.ofCommand) return undefined;
  for (const pattern of PATTERNS) {
    const groups = groupsIn(message, pattern.line);
    if (!groups) continue;
    const figures: Record<string, Figure> = {};
    for (const [name, text] of Object.entries(groups))
      if (text !== undefined) figures[name] = pattern.numbers?.includes(name) ? Number(text) : text;
    const { code, severity, by, deeper } = pattern;
    const more = deeper === undefined ? {} : { deeper };
    return { finding: { code, severity, figures, evidence: [evidenceOf(message)], ...more }, by };
  }
  return undefined;
}

/** Findings that say the same of the same are one: the last figures, and how many there were. */
class Found {
  readonly #byKey = new Map<string, Finding & { times: number; others: number }>();
  readonly #alike = new Map<string, number>();

  add(finding: Finding | undefined, by: readonly string[]): void {
    if (finding === undefined) return;
    const alike = `${finding.code} ${finding.severity}`;
    const own = JSON.stringify([finding.code, ...by.map((name) => finding.figures[name] ?? null)]);
    const many = this.#alike.get(alike) ?? 0;
    const isNew = !this.#byKey.has(own);
    if (isNew && many >= MOST_ALIKE) {
      const others = (this.#byKey.get(alike)?.others ?? -1) + 1;
      this.#byKey.set(alike, { ...finding, times: 1, others });
      return;
    }
    if (isNew) this.#alike.set(alike, many + 1);
    const before = this.#byKey.get(own);
    const evidence = [...(before?.evidence ?? []), ...finding.evidence];
    const kept =
      evidence.length > MOST_EVIDENCE
        ? [...evidence.slice(0, 1), ...evidence.slice(1 - MOST_EVIDENCE)]
        : evidence;
    const times = (before?.times ?? 0) + 1;
    this.#byKey.set(own, { ...finding, by, evidence: kept, times, others: 0 });
  }

  list(): Finding[] {
    return [...this.#byKey.values()].map(({ times, others, ...finding }) => ({
      ...finding,
      figures: { ...finding.figures, times, ...(others > 0 ? { others } : {}) },
    }));
  }
}
