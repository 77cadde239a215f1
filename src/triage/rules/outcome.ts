import type { TriageJson } from '../../answers/triage/schema.js';

/** A rule, by code, whose conditions could not be evaluated. */
export type Undecided = RulesOutcome['unknown'][number];

/** Effects of rules, beside the findings that they made. */
export type RulesOutcome = NonNullable<TriageJson['rules']>;

/** Findings whose severity a rule changed, or that it silenced. */
export type Adjusted = RulesOutcome['changed'][number];
