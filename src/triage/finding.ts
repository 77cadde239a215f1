import type { StackGroup } from '../account/task-stacks.js';

/** How bad: something stopped or died; something is wrong; worth to know. */
export type Severity = 'critical' | 'warning' | 'note';

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
  'unexplained-memory',
  'low-memory',
  'tainted',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

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
export type StackEvidence = { readonly kind: 'stack' } & Pick<StackGroup, 'frames' | 'end' | 'why'>;

export type Evidence = LogEvidence | StackEvidence;

/** A figure that a finding rests on, or a name: hostile. */
export type Figure = number | string | null;

/** Something that a person should know of, with what it rests on. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** By names that each code has for good. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly evidence: readonly Evidence[];
  /** The command that tells more. */
  readonly deeper?: string;
}

const ORDER: readonly Severity[] = ['critical', 'warning', 'note'];

/** The most severe first; else as they came. */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  const rank = ({ severity }: Finding) => ORDER.indexOf(severity);
  return findings.toSorted((a, b) => rank(a) - rank(b));
}
