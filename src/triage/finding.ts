import type { StackGroup } from '../account/task-stacks.js';

/** How bad: something stopped or died; something is wrong; worth to know. */
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
  'network-memory',
  'file-system-error',
  'waiting-data',
  'waiting-data-of-process',
  'waiting-data-of-machine',
  'stalled-reader',
  'unexplained-memory',
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
  /** Nanoseconds on the log's clock. */
  readonly timestamp: bigint;
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

/** Something that a person should know of, with what it rests on. */
export interface Finding {
  readonly code: FindingCode | RuleCode;
  readonly severity: Severity;
  /** By names that each code has for good. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly evidence: readonly Evidence[];
  /** The command that tells more. */
  readonly deeper?: string;
  /** Of a finding that stands for several: these figures all of them have, others are those of the last. */
  readonly by?: readonly string[];
  /** Of a rule: its sentence, with `{name}` for a figure, and what to do. */
  readonly told?: { readonly says: string; readonly advice: string | undefined };
}

/** The most severe first; else as they came. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = ({ severity }: Finding) => SEVERITIES.indexOf(severity);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}
