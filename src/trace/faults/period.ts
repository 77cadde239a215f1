import { STACK_BYTES } from '../perf/record.js';

/** Samples a second that a machine takes without noticing. */
const MOST_A_SECOND = 4000;

/** Of perf.data for each sample: its stack, registers, and the record around them. */
const SAMPLE_BYTES = STACK_BYTES + 512;

/**
 * Each so many faults one is recorded, by how many there are a second: each one where perf.data has room
 * for that. A prime, since a program's loops have round numbers of pages.
 */
export function periodFor(faultsPerSecond: number, seconds: number, maxBytes: number): number {
  const room = maxBytes / 2 / SAMPLE_BYTES;
  const least = Math.max(
    faultsPerSecond / MOST_A_SECOND,
    (faultsPerSecond * seconds) / Math.max(1, room),
  );
  if (least <= 1) return 1;
  let period = Math.ceil(least);
  while (!isPrime(period)) period++;
  return period;
}

function isPrime(number: number): boolean {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return number > 1;
}
