import type { CapturedLogWhole } from '../account/captured-log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import type { CaptureOrigin } from '../records/capture-origin.js';
import type { LogRecord } from '../records/log-records.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding } from './finding.js';
import { logFindings } from './log/log-findings.js';
import { memoryFindings } from './memory-findings.js';
import { findingsBeside, type LogTriage } from './text.js';

/** What of a capture findings rest on; a string: why it cannot be had. */
export interface CapturedParts {
  readonly of: CaptureOrigin;
  /** '' if unknown. */
  readonly release: string;
  readonly pageSize: number;
  readonly log: (CapturedLogWhole & { readonly records: readonly LogRecord[] }) | string;
  /** Logs beside it, also of other boots. */
  readonly otherLogs?: readonly LogTriage[];
  readonly memory: MemoryAnswer | string;
  readonly warnings: readonly Warning[];
}

/** What was the matter with a host when it was captured, by its log and counters of its memory. */
export interface CapturedTriage {
  readonly captured: CaptureOrigin;
  readonly release: string;
  /** The most severe first. */
  readonly findings: readonly Finding[];
  /** Messages of the log that are gone; null: not known. */
  readonly overwritten: number | null;
  readonly memory: MemoryAnswer | undefined;
  readonly warnings: readonly Warning[];
  /** All of the log is there, and the counters are. */
  readonly complete: boolean;
}

/** Commands that a capture answers. */
const ANSWERED = /^(?:log|memory|procs)(?: |$)/;

export function triageCaptured(parts: CapturedParts): CapturedTriage {
  const { of, release, pageSize, log, otherLogs = [], memory } = parts;
  const warnings = new Warnings();
  const told = typeof log === 'string' ? undefined : log;
  const counted = typeof memory === 'string' ? undefined : memory;
  const beside = otherLogs.map(({ name }) => name).join(', ');
  if (typeof log === 'string')
    warnings.add('unreadable', beside === '' ? log : `${log}: findings rest on ${beside}`);
  if (typeof memory === 'string') warnings.add('unreadable', memory);
  const known = [...parts.warnings, ...(told?.warnings ?? []), ...(counted?.warnings ?? [])];
  for (const { code, message } of known) warnings.add(code, message);
  const own = told ? logFindings(told.records, pageSize) : [];
  const findings = [
    ...own,
    ...findingsBeside(own, otherLogs),
    ...(counted ? memoryFindings(counted) : []),
  ];
  const list = warnings.list();
  return {
    captured: of,
    release,
    memory: counted,
    warnings: list,
    findings: bySeverity(findings.map(withoutKernel)),
    overwritten: told?.overwritten ?? null,
    complete: list.length === 0 && told?.overwritten === 0,
  };
}

/** A capture cannot answer commands that read the kernel's memory. */
function withoutKernel({ next, ...finding }: Finding): Finding {
  return next !== undefined && ANSWERED.test(next) ? { ...finding, next } : finding;
}
