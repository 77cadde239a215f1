import type { Figure, Finding, Severity } from '../finding.js';
import { Pattern } from './pattern.js';
import type { FigureTests } from './schema.js';

/** Which findings are meant. */
interface Meant {
  readonly severity?: Severity | undefined;
  readonly figures?: FigureTests | undefined;
}

/**
 * Whether what a finding stands for is meant. One that stands for several has figures of the last alone,
 * but for those by which they are one: of the others nothing is known.
 *
 * @param how `all` of what it stands for, or `one` of it
 */
export function isMeant(
  finding: Finding,
  { severity, figures = {} }: Meant,
  how: 'all' | 'one',
): boolean | 'unknown' {
  const { times, others } = finding.figures;
  if (severity !== undefined && severity !== finding.severity) return false;
  const stands =
    typeof others === 'number' && others > 0 ? 'others' : Number(times) > 1 ? 'times' : 'one';
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
