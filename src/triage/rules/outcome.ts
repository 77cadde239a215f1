import type { Finding } from '../finding.js';
import type { Adjustment } from './schema.js';

/** What rules did, beside the findings that they made. */
export interface RulesOutcome {
  /** Rules that asked for something. */
  readonly rules: number;
  /** Of these: what they ask for is there. */
  readonly met: number;
  /** Of these, and of adjustments: what could not be read may decide. */
  readonly unknown: readonly { readonly code: string; readonly why: string }[];
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
