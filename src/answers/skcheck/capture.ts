import { formatCount } from '../text/size.js';
import type { SkcheckWarning } from './schema.js';

/** So many of a capture's damages are told; one has many when all of it is. */
const MOST_TOLD = 3;

/** What keeps a capture from proving that nothing is missing in it. */
export function captureWarnings(capture: {
  readonly kind: 'capture' | 'sosreport';
  readonly damage: readonly string[];
  /** Facts in it that contradict each other. */
  readonly contradictions: readonly string[];
  /** It has nothing that says what belongs to it. */
  readonly unproved: boolean;
}): SkcheckWarning[] {
  const { kind, damage, unproved, contradictions } = capture;
  const warnings: SkcheckWarning[] = [];
  const more = damage.length - MOST_TOLD;
  if (damage.length > 0)
    warnings.push({
      code: 'capture',
      count: damage.length,
      message: `the capture is incomplete: ${damage.slice(0, MOST_TOLD).join('; ')}${more > 0 ? `; and ${formatCount(more)} more` : ''}. Capture that host again`,
    });
  for (const message of contradictions) warnings.push({ code: 'capture', count: 1, message });
  if (unproved)
    warnings.push({
      code: 'capture',
      count: 1,
      message:
        kind === 'sosreport'
          ? 'a sosreport covers one network namespace and has no manifest: no stalled socket found does not prove there is none'
          : 'the capture has no manifest (older skcheck, or truncated): no stalled socket found does not prove there is none',
    });
  return warnings;
}
