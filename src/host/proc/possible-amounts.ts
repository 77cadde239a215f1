import { formatCount, formatSize } from '../../base/size.js';
import type { MemoryCounters } from '../../records/machine-sample.js';

/** Upper bound of the memory of a machine, bytes: without zones, memory that was reserved at boot is unknown. */
export function mostMemory({ meminfo, present }: Partial<Pick<MemoryCounters, 'meminfo' | 'present'>>): number {
  const total = meminfo?.get('MemTotal');
  return present ?? (total === undefined ? Number.POSITIVE_INFINITY : 1.5 * total);
}

/** Why an amount of memory is not one of this machine; undefined: it is possible. */
export function whyImpossible(name: string, bytes: number, mostBytes: number): string | undefined {
  if (bytes <= mostBytes) return undefined;
  return `${name}: ${formatSize(bytes)}, more than this machine has (${formatSize(mostBytes)})`;
}

/** Maximum number of impossible rows that are named. */
const MAX_NAMED = 3;

/** Those of some rows that this machine can have; of the others the first are reasons, and the rest is one. */
export function possibleOf<Row>(
  rows: readonly Row[],
  whyNot: (row: Row) => string | undefined,
  onMissing: (why: string) => void,
): Row[] {
  let impossible = 0;
  const possible = rows.filter((row) => {
    const why = whyNot(row);
    if (why !== undefined && ++impossible <= MAX_NAMED) onMissing(why);
    return why === undefined;
  });
  if (impossible > MAX_NAMED)
    onMissing(`${formatCount(impossible - MAX_NAMED)} others, each more than this machine has`);
  return possible;
}
