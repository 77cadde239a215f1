import type { RuleDoubt, Severity } from '../../records/triage-codes.js';
import type { Evidence, Finding } from '../finding.js';
import type { Figure, Figures } from '../findings/declared.js';
import { Pattern } from './pattern.js';
import type { FigureTests } from './schema.js';

/** Whether a condition holds; unknown if data is missing. */
export type Match =
  | { readonly met: true; readonly figures: Figures; readonly evidence: readonly Evidence[] }
  | { readonly met: false }
  | { readonly met: 'unknown'; readonly reason: RuleDoubt; readonly why: string };

export const NOT_MET: Match = { met: false };

export function met(figures: Figures = {}, evidence: readonly Evidence[] = []): Match {
  return { met: true, figures, evidence };
}

export function unknown(reason: RuleDoubt, why: string): Match {
  return { met: 'unknown', reason, why };
}

/** Combines conditions that must all hold: one that does not hold decides, whatever the others are. */
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

/** Combines conditions of which one must hold: the first that holds is returned. */
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

/** Criteria that select findings. */
interface Meant {
  readonly severity?: Severity | undefined;
  readonly figures?: FigureTests | undefined;
}

/**
 * Whether the criteria match the findings that one finding represents. Its figures are those of the last one;
 * only figures in `by` are known for all.
 *
 * @param how `all` of the represented findings, or `one` of them
 */
export function isMeant(finding: Finding, { severity, figures = {} }: Meant, how: 'all' | 'one'): boolean | 'unknown' {
  const { times, others } = finding.figures;
  if (severity !== undefined && severity !== finding.severity) return false;
  const stands = typeof others === 'number' && others > 0 ? 'others' : Number(times) > 1 ? 'times' : 'one';
  let isKnown = true;
  let isLast = true;
  for (const [name, test] of Object.entries(figures)) {
    const passes = passed(finding.figures[name], test);
    const ofAll = stands === 'one' || (stands === 'times' && finding.by?.includes(name) === true);
    if (passes === false && ofAll) return false;
    if (passes !== true) isLast = false;
    if (passes === 'unknown' || !ofAll) isKnown = false;
  }
  if (isKnown) return isLast;
  return how === 'one' && isLast ? true : 'unknown';
}

function passed(figure: Figure | undefined, test: FigureTests[string]): boolean | 'unknown' {
  if (figure == null) return 'unknown';
  if (test instanceof Pattern) return test.match(String(figure)) !== undefined;
  if (typeof test === 'number') return figure === test;
  if (typeof figure !== 'number') return false;
  const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = test;
  return figure >= atLeast && figure <= atMost;
}
