import type { StackGroup } from '../account/task-stacks.js';
import type { OomReport } from './oom-report.js';
import type { PrintedFrame } from './printed-frame.js';

/** A failure; a problem; a remark. */
export const SEVERITIES = ['critical', 'warning', 'note'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What was found. Codes are stable: they are part of the JSON. */
export const FINDING_CODES = [
  'panic',
  'oops',
  'soft-lockup',
  'hard-lockup',
  'rcu-stall',
  'hung-task',
  'blocked-tasks',
  'oom-kill',
  'allocation-failure',
  'memory-corruption',
  'hardware-error',
  'kernel-warning',
  'lockdep',
  'atomic-sleep',
  'spinlock-bug',
  'workqueue-lockup',
  'memory-leak',
  'uninitialized-value',
  'data-race',
  'undefined-behavior',
  'network-memory',
  'file-system-error',
  'queued-data',
  'queued-data-of-process',
  'queued-data-of-machine',
  'stalled-reader',
  'unattributed-memory',
  'low-memory',
  'tainted',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** Of a team's own rules: none of ours has a slash. */
export type RuleCode = `${string}/${string}`;

/** A line of the log that a finding rests on. */
export interface LogEvidence {
  readonly kind: 'log';
  readonly seq: number;
  /** Nanoseconds on the log's clock; null: the log is text that does not have it. */
  readonly timestamp: bigint | null;
  /** Wall-clock time as a text has it. Hostile. */
  readonly printedTime?: string;
  /** Hostile. */
  readonly text: string;
}

/** What a thread was doing. */
export type StackEvidence = { readonly kind: 'stack' } & Pick<
  StackGroup,
  'frames' | 'end' | 'why' | 'stop'
>;

export type Evidence = LogEvidence | StackEvidence;

/** A figure that a finding rests on, or a name: hostile. */
export type Figure = number | string | null;

/** Why a report of the log cannot be trusted: lines of it are missing, or others stand among them. */
export const CORRUPTIONS = [
  ...(['no-function', 'no-first-lines', 'interleaved', 'lines-missing'] as const),
  ...(['cut', 'no-frames', 'no-trace'] as const),
] as const;
export type Corruption = (typeof CORRUPTIONS)[number];

/** What the kernel printed of one fault, from its first line to its last. Text is hostile; null: not printed. */
export interface CrashReport {
  /** The function to blame; null: none could be named. */
  readonly function: string | null;
  /** Why the report cannot be trusted; null: nothing says so. */
  readonly corrupted: Corruption | null;
  readonly cpu: number | null;
  readonly pid: number | null;
  /** Printed since 6.12. */
  readonly uid: number | null;
  readonly comm: string | null;
  readonly taint: string | null;
  readonly release: string | null;
  readonly hardware: string | null;
  /** Hexadecimal, as printed. */
  readonly address: string | null;
  readonly access: 'read' | 'write' | null;
  readonly accessBytes: number | null;
  readonly modules: readonly string[];
  readonly stack: readonly PrintedFrame[];
  readonly allocatedBy: readonly PrintedFrame[];
  readonly freedBy: readonly PrintedFrame[];
}

/** A problem, with its evidence. */
export interface Finding {
  readonly code: FindingCode | RuleCode;
  readonly severity: Severity;
  /** The form that people search for: `KASAN: slab-use-after-free Read in f`. Hostile. */
  readonly title?: string;
  readonly report?: CrashReport;
  /** Of `oom-kill`: what the kernel printed of it. */
  readonly oom?: OomReport;
  /** By names that each code has for good. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly evidence: readonly Evidence[];
  /** The command that shows more. */
  readonly next?: string;
  /** Of a finding that stands for several: these figures all of them have, others are those of the last. */
  readonly by?: readonly string[];
  /** Of a rule: its sentence, with `{name}` for a figure, and its advice. */
  readonly rule?: { readonly message: string; readonly advice: string | undefined };
}

/** The most severe first; else as they came. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = ({ severity }: Finding) => SEVERITIES.indexOf(severity);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}
