import type { Evidence, Figure } from '../finding.js';

/** Why a rule could not be evaluated. */
export const RULE_DOUBTS = [
  'panic-unknown',
  'release-unknown',
  'taint-unreadable',
  'modules-unreadable',
  'memory-unavailable',
  'category-incomplete',
  'owners-unknown',
  'findings-folded',
  'log-incomplete',
  'answer-incomplete',
  'stacks-unreadable',
  'stacks-incomplete',
  'frame-guessed',
  'figures-unknown',
] as const;
export type RuleDoubt = (typeof RULE_DOUBTS)[number];

/** Whether a condition holds; unknown where data is missing. */
export type Match =
  | {
      readonly met: true;
      readonly figures: Readonly<Record<string, Figure>>;
      readonly evidence: readonly Evidence[];
    }
  | { readonly met: false }
  | { readonly met: 'unknown'; readonly reason: RuleDoubt; readonly why: string };

export const NOT_MET: Match = { met: false };

export function met(
  figures: Readonly<Record<string, Figure>> = {},
  evidence: readonly Evidence[] = [],
): Match {
  return { met: true, figures, evidence };
}

export function unknown(reason: RuleDoubt, why: string): Match {
  return { met: 'unknown', reason, why };
}

/** All must hold: one that does not decides, whatever the others are. */
export function all(parts: Iterable<Match>): Match {
  let [figures, evidence]: [Record<string, Figure>, Evidence[]] = [{}, []];
  let missing: Match | undefined;
  for (const part of parts) {
    if (part.met === false) return NOT_MET;
    if (part.met === 'unknown') missing ??= part;
    else {
      figures = { ...figures, ...part.figures };
      evidence = [...evidence, ...part.evidence];
    }
  }
  return missing ?? met(figures, evidence);
}

/** One must hold; the first that does counts. */
export function any(parts: Iterable<Match>): Match {
  let missing: Match | undefined;
  for (const part of parts) {
    if (part.met === true) return part;
    if (part.met === 'unknown') missing ??= part;
  }
  return missing ?? NOT_MET;
}

export function not(part: Match): Match {
  if (part.met === 'unknown') return part;
  return part.met ? NOT_MET : met();
}
