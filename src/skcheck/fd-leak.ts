import type { Observation } from '../host/observation.js';

/** A process whose open descriptors became more from each sample to the next. */
export interface FdLeak {
  readonly pid: number;
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  readonly watchedMs: number;
}

/** Growth by fewer than this is everyday life. */
const LEAST_GROWTH = 10;
const LEAST_SAMPLES = 3;

/**
 * Processes with more descriptors at each of three or more samples than at the one before. A server
 * that fills up after its start looks the same, so this is a hint, never a proof.
 */
export function findFdLeaks({ descriptors, first, last }: Observation): FdLeak[] {
  const counts = descriptors[0];
  if (!counts || !last || descriptors.length < LEAST_SAMPLES) return [];
  const leaks: FdLeak[] = [];
  for (const [pid, from] of counts) {
    let before = -1;
    const grew = descriptors.every((sample) => {
      const now = sample.get(pid) ?? -1;
      const more = now > before;
      before = now;
      return more;
    });
    if (grew && before - from >= LEAST_GROWTH)
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
