import { formatSize } from '../../base/size.js';
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
