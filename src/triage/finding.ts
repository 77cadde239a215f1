import { attempted } from '../account/memory/missed.js';
import { groupedStacks } from '../account/task-stacks.js';
import { grouped } from '../base/util.js';
import type { BlockingLock } from '../contracts/blocked.js';
import type { CrashReport, OomReport } from '../contracts/log-reports.js';
import type { Stack, StackGroup } from '../contracts/task-stacks.js';
import type { Kernel } from '../kernel/kernel.js';
import { SEVERITIES, type Severity } from '../records/triage-codes.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { type FiguresOf, type FindingCode, hasTrait } from './findings/all.js';
import type { Figures } from './findings/declared.js';
import { THRESHOLDS } from './thresholds.js';

/** Code of a team's rule: built-in codes have no slash. */
export type RuleCode = `${string}/${string}`;

/** A log line that supports a finding. */
export interface LogEvidence {
  readonly kind: 'log';
  readonly seq: number;
  /** Nanoseconds on the log's clock; null: a text log without it. */
  readonly timestamp: bigint | null;
  /** Wall-clock time as printed in a text log. Untrusted. */
  readonly printedTime?: string;
  /** Untrusted. */
  readonly text: string;
}

/** Stack trace of a thread. */
export type StackEvidence = { readonly kind: 'stack' } & Stack;

export type Evidence = LogEvidence | StackEvidence;

/** A problem, with its evidence. */
export interface Finding {
  readonly code: FindingCode | RuleCode;
  readonly severity: Severity;
  /** Title as people search for it: `KASAN: slab-use-after-free Read in f`. Untrusted. */
  readonly title?: string;
  readonly report?: CrashReport;
  /** For `oom-kill`: the kernel's report. */
  readonly oom?: OomReport;
  /** Locks of a deadlock, or the contended lock, and all locks of the answer that has them. */
  readonly waits?: { readonly roots: readonly BlockingLock[]; readonly locks: readonly BlockingLock[] };
  /** Figures, with fixed names for each code. */
  readonly figures: Figures;
  readonly evidence: readonly Evidence[];
  /** The command that shows more. */
  readonly next?: string;
  /** An event that is over: what is true now, or at the time of the dump, stands above it. */
  readonly past?: true;
  /**
   * Names of the figures that are equal in all findings which this one represents. Other figures are those of
   * the last one.
   */
  readonly by?: readonly string[];
  /** For a rule: its sentence, with `{name}` for a figure, and its advice. */
  readonly rule?: {
    readonly message: string;
    readonly advice: string | undefined;
    /** Codes of the findings that follow from this one. */
    readonly causes?: readonly string[] | undefined;
  };
}

/** A finding whose figures are those of its code. @param more evidence, a title, … */
export function found<Code extends FindingCode>(
  code: Code,
  severity: Severity,
  figures: FiguresOf<Code>,
  next?: string,
  more?: Partial<Finding>,
): Finding {
  return {
    code,
    severity,
    figures: figures as Figures,
    evidence: [],
    ...(next === undefined ? {} : { next }),
    ...more,
  };
}

/**
 * Sorts by severity, keeping the order within one; past events are last, and a cut report follows whole ones of its
 * code. What may be over follows what is true now.
 */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = (finding: Finding) =>
    SEVERITIES.indexOf(finding.severity) +
    (finding.past ? SEVERITIES.length : 0) +
    (isOfUnknownSubject(finding) ? 0.5 : isReached(finding) ? 0 : 0.1);
  const groups = grouped(findings, (finding) => `${finding.code} ${rank(finding)}`);
  const wholeFirst = new Map(
    [...groups].map(([key, of]) => [key, of.toSorted((a, b) => Number(isCut(a)) - Number(isCut(b)))]),
  );
  return findings
    .map((finding) => wholeFirst.get(`${finding.code} ${rank(finding)}`)!.shift()!)
    .toSorted((a, b) => rank(a) - rank(b));
}

/** Whether something fails now: it comes before what is only large. */
const isReached = ({ code, figures }: Finding) => code === 'limit-near' && Number(figures.used) >= Number(figures.most);

/** Whether an old event may be over, which nothing tells. */
const isOfUnknownSubject = ({ figures, past }: Finding) => figures.subject === 'unknown' && !past;

/** Whether a report of the log lacks its beginning, its end, or its middle. */
function isCut({ code, report, figures, oom }: Finding): boolean {
  if (code === 'oom-kill')
    return figures.outcome === 'unknown' || (figures.invokedBy == null && oom?.zones.length === 0);
  return report !== undefined && report.corrupted !== null;
}

/** Whether two findings are of one boot in one log: only then do their times have one clock. */
export const isSameBoot = ({ figures: a }: Finding, { figures: b }: Finding): boolean =>
  (a.boot ?? null) === (b.boot ?? null) && (a.log ?? null) === (b.log ?? null);

/** Seconds since boot of a finding's last line; −1: the log has no timestamps. */
export function lastTime({ evidence }: Pick<Finding, 'evidence'>): number {
  const timeOf = (evidence: Evidence) =>
    evidence.kind === 'log' && evidence.timestamp !== null ? Number(evidence.timestamp) / 1e9 : -1;
  return Math.max(-1, ...evidence.map(timeOf));
}

/**
 * A finding with a next command: by default the log from shortly before its first line on, where its cause may be; none
 * if that log has no clock, or is one of several.
 */
export function withNext({ next: _, ...finding }: Finding, next?: string): Finding {
  const { evidence, figures } = finding;
  const [first] = evidence;
  if (next !== undefined) return { ...finding, next };
  if (first?.kind !== 'log' || first.timestamp === null || figures.log != null) return finding;
  const of = figures.boots == null ? '' : ` --boot ${figures.boot}`;
  // Why somebody asked for a kill is in the minutes before.
  const earlier = figures.reason === 'sysrq' ? BEFORE_REQUEST_NS : BEFORE_NS;
  const from = first.timestamp > earlier ? first.timestamp - earlier : 0n;
  return { ...finding, next: `log --since ${Number(from / 1000n) / 1e6}${of}` };
}

const BEFORE_NS = 10n * 10n ** 9n;
const BEFORE_REQUEST_NS = 30n * BEFORE_NS;

/** Age in seconds from which such an event is a note. */
const PAST_SECONDS = 3600;
/** Age from which it is over: what is true now, on the machine or in the dump, stands above it. */
const OVER_SECONDS = 60;

/** Seconds by which the log’s clock may be ahead of the uptime. */
const CLOCK_DRIFT = 60;

/**
 * What became of the subject of an event. `unrepeated`: the kernel would have reported it again if it still hung.
 * `unknown`: the kernel may not have; null: unknown, or there is none.
 */
export type Subject = 'present' | 'gone' | 'running' | 'unrepeated' | 'unknown' | null;

/** Facts about a running machine that tell whether an event is over. */
export interface RunningFacts {
  readonly subjectOf: (finding: Finding, secondsAgo: number) => Subject;
  /** Seconds since boot before which every event is history: the time of a baseline. */
  readonly historyUntil?: number | undefined;
}

/**
 * Marks shortages of the log that are over: they must not hide a present problem. After an hour they are notes.
 *
 * @param uptimeSeconds on the log's clock; undefined: unknown
 * @param running undefined: a dump
 */
export function withPast(
  findings: readonly Finding[],
  uptimeSeconds: number | null | undefined,
  running?: RunningFacts,
): Finding[] {
  return findings.map((finding) => {
    const { code, figures } = finding;
    const isFatal = ['panic', 'no-killable-process'].includes(String(figures.outcome));
    const then = lastTime(finding);
    // A line from the future is of another boot, or the uptime is that of a container.
    if (uptimeSeconds == null || then < 0 || then > uptimeSeconds + CLOCK_DRIFT || isFatal) return finding;
    const secondsAgo = Math.max(0, Math.floor(uptimeSeconds - then));
    const isPassing = hasTrait(finding, 'passing');
    const isOld = isPassing && secondsAgo >= OVER_SECONDS;
    const severity = isPassing && secondsAgo >= PAST_SECONDS ? 'note' : finding.severity;
    if (!running) return isOld ? { ...finding, severity, figures: { ...figures, secondsAgo }, past: true } : finding;
    const subject = running.subjectOf(finding, secondsAgo);
    const aged = withSubject({ ...finding, severity, figures: { ...figures, secondsAgo } }, subject);
    const isHistory = running.historyUntil !== undefined && then < running.historyUntil;
    const isOver = isOld || (isHistory && !(code === 'hung-task' && subject === 'present'));
    return isOver ? { ...aged, past: true } : aged;
  });
}

/** An event with what became of its subject: one that may be over must not hide what is true now. */
export function withSubject(finding: Finding, subject: Subject): Finding {
  if (subject === null) return finding;
  const known = { ...finding, figures: { ...finding.figures, subject } };
  if (finding.code !== 'hung-task' || subject === 'present') return known;
  return subject === 'unknown' ? { ...known, severity: 'note' } : { ...known, past: true };
}

/**
 * How long before the end of a text log such an event was: later messages show that the machine continued to run.
 *
 * @param newest the latest timestamp of its boot; null: unknown
 */
export function beforeEnd(finding: Finding, newest: bigint | null): { readonly secondsBeforeEnd?: number } {
  const then = lastTime(finding);
  const seconds = newest === null || then < 0 ? 0 : Math.floor(Number(newest) / 1e9 - then);
  return hasTrait(finding, 'passing') && seconds >= OVER_SECONDS ? { secondsBeforeEnd: seconds } : {};
}

/** Details of the HTML page. Undefined: unreadable, and a warning gives the reason. */
export interface TriageDetail {
  /** Stack of each CPU. */
  readonly running: readonly StackGroup[] | undefined;
  /** Tasks in uninterruptible sleep (state D), grouped by stack. */
  readonly blocked: readonly StackGroup[] | undefined;
  readonly warnings: readonly Warning[];
}

/** Reads the details of the HTML page. */
export function triageDetail(kernel: Kernel): TriageDetail {
  const warnings = new Warnings();
  const stacksOf = (what: string, choice: Parameters<typeof groupedStacks>[1]) => {
    const groups = attempted(warnings, what, () => groupedStacks(kernel, choice));
    for (const { code, message } of groups?.warnings ?? []) warnings.add(code, message);
    return groups?.stacks;
  };
  return {
    running: stacksOf('stacks of running tasks', { running: true }),
    blocked: stacksOf('blocked tasks', { states: new Set(['D']) }),
    warnings: warnings.list(),
  };
}

/**
 * Figures of a finding that stands for others, which a limit omits: their number, and the process that has all of them;
 * none: no other was omitted.
 *
 * @param pids of the omitted ones; null: unknown
 */
export function othersFigures(pids: readonly (number | null)[]): { others?: number; othersPid?: number | null } {
  const [pid = null] = pids;
  if (pids.length === 0) return {};
  return { others: pids.length, othersPid: pids.every((other) => other === pid) ? pid : null };
}

/** Severity of memory that one owner holds; undefined: not a finding. */
export function severityOf(bytes: number, whole: number): Severity | undefined {
  const { leastBytes, warning, critical } = THRESHOLDS['queued-data'];
  if (bytes < leastBytes || bytes < warning * whole) return undefined;
  return bytes >= critical * whole ? 'critical' : 'warning';
}

/** Criteria that make a run fail: a minimum severity, or one of these codes. */
export interface FailOn {
  readonly severities: readonly Severity[];
  readonly codes: readonly string[];
}

/** @param words severities, which include higher ones, and codes */
export function failOn(words: readonly string[]): FailOn {
  const least = Math.max(...words.map((word) => SEVERITIES.indexOf(word as Severity)));
  return {
    severities: SEVERITIES.slice(0, least + 1),
    codes: words.filter((word) => !SEVERITIES.includes(word as Severity)),
  };
}

export function isFailing(
  { severities, codes }: FailOn,
  { code, severity }: { readonly code: string; readonly severity: string },
): boolean {
  return severities.some((wanted) => wanted === severity) || codes.includes(code);
}
