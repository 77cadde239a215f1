import type { Observation } from '../host/observation.js';

/** A process whose number of open descriptors grew from each sample to the next. */
export interface FdLeak {
  readonly pid: number;
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  readonly watchedMs: number;
}

/** Smaller growth is normal. */
const MIN_GROWTH = 10;
const MIN_SAMPLES = 3;

/**
 * Finds processes that had more descriptors at each of three or more samples than at the one before. A server
 * that is warming up looks the same, so this is a hint, never proof.
 */
export function findFdLeaks({ descriptors, first, last }: Observation): FdLeak[] {
  const counts = descriptors[0];
  if (!counts || !last || descriptors.length < MIN_SAMPLES) return [];
  const leaks: FdLeak[] = [];
  for (const [pid, from] of counts) {
    let before = -1;
    const grew = descriptors.every((sample) => {
      const now = sample.get(pid) ?? -1;
      const increased = now > before;
      before = now;
      return increased;
    });
    if (grew && before - from >= MIN_GROWTH)
      leaks.push({
        pid,
        from,
        to: before,
        samples: descriptors.length,
        watchedMs: Math.max(0, last.startedMs - first.endedMs),
      });
  }
  return leaks.sort((a, b) => b.to - b.from - (a.to - a.from));
}
