import type { Finding } from '../finding.js';
import type { RuleDoubt } from './match.js';
import type { Adjustment } from './schema.js';

/** Of a rule, by its code: it is not known whether what it asks for is there. */
export interface Undecided {
  readonly code: string;
  readonly reason: RuleDoubt;
  readonly why: string;
}

/** What rules did, beside the findings that they made. */
export interface RulesOutcome {
  /** Rules that asked for something. */
  readonly rules: number;
  /** Of these: what they ask for is there. */
  readonly matched: number;
  /** Of these, and of adjustments: what could not be read may decide. */
  readonly unknown: readonly Undecided[];
  readonly silenced: readonly Adjusted[];
  readonly changed: readonly Adjusted[];
}

/** Findings whose severity a rule changed, or that it silenced. */
export interface Adjusted {
  readonly code: Finding['code'];
  readonly from: Finding['severity'];
  readonly to: Adjustment['severity'];
  readonly findings: number;
  readonly because: string;
}
