import type { MemoryCounters } from '../../records/memory-counters.js';
import type { CategoryName } from './categories.js';
import { counterSlack, freeCounts } from './proc-counters.js';

/** Free memory by page flags or zones, and by MemFree, that differ by more than drift; bytes. */
export interface FreeConflict {
  readonly foundBy: 'pageflags' | 'counters';
  readonly foundBytes: number;
  /** MemFree, without memory that is not accepted or not initialized. */
  readonly countedBytes: number;
}

/** Categories whose bytes are not known while free memory is not. */
export const DEPENDS_ON_FREE: ReadonlySet<string> = new Set<CategoryName>([
  ...(['free-buddy', 'free-uninitialized', 'unattributed'] as const),
]);

/** Returns how MemFree contradicts the free pages of all zones; undefined: it does not. */
export function zonesConflict(counts: MemoryCounters): FreeConflict | undefined {
  const { counted, inZones } = freeCounts(counts) ?? {};
  if (counted === undefined || inZones === undefined) return undefined;
  if (Math.abs(counted - inZones) <= counterSlack(counts)) return undefined;
  return { foundBy: 'counters', foundBytes: inZones, countedBytes: counted };
}

/** Why a category that depends on free memory is incomplete. */
export function conflictWhy({ foundBy, foundBytes, countedBytes }: FreeConflict): string {
  const found = foundBy === 'counters' ? 'zones count' : 'page flags show';
  return `${found} ${foundBytes} free bytes, and MemFree counts ${countedBytes}`;
}
