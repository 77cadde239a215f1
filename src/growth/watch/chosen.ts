import type { ProcessSample } from '../../account/processes/sample.js';
import { keyOf, type OtherProcesses } from '../processes.js';

/** So many that hold most are in a sample; those that were in the one before stay, up to twice as many. */
export const MOST_PROCESSES = 50;

export interface Chosen {
  readonly processes: readonly ProcessSample[];
  readonly others: OtherProcesses;
  /** Of those before so many live, and are not among them any more. */
  readonly letGo: number;
}

/**
 * Those that a sample has, so that its line is short and still follows whoever was in one.
 *
 * @param before keys of those in the sample before
 */
export function choose(all: readonly ProcessSample[], before: ReadonlySet<string>): Chosen {
  const sorted = [...all].sort((a, b) => (b.held?.bytes ?? -1) - (a.held?.bytes ?? -1));
  const largest = sorted.slice(0, MOST_PROCESSES);
  const followed = sorted.slice(MOST_PROCESSES).filter((one) => before.has(keyOf(one)));
  const processes = [...largest, ...followed.slice(0, MOST_PROCESSES)];
  const chosen = new Set(processes);
  let [taken, seen, known] = [0, 0, true];
  for (const one of all) {
    if (chosen.has(one)) continue;
    taken += one.held?.taken ?? 0;
    known &&= one.held !== null;
    if (one.held?.by === 'pss') seen += one.held.taken;
  }
  return {
    processes,
    others: { processes: all.length - processes.length, taken: known ? taken : null, seen },
    letGo: Math.max(0, followed.length - MOST_PROCESSES),
  };
}
