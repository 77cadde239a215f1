import { availableParallelism } from 'node:os';
import type { StacksWarning } from './answer.js';
import type { FaultCounts } from './counts.js';
import type { StackSums } from './stack-sums.js';

/** What the kernel counted by itself at four moments: before and after perf began, before and after it ended. */
export interface CountedMeanwhile {
  readonly before: FaultCounts;
  readonly begun: FaultCounts;
  readonly ending: FaultCounts;
  readonly ended: FaultCounts;
}

/** Growth of a counter: perf recorded during all of the shorter time, and not longer than the other. */
export function grown(
  { before, begun, ending, ended }: CountedMeanwhile,
  of: (counts: FaultCounts) => number,
): { readonly atLeast: number; readonly atMost: number } {
  return { atLeast: of(ending) - of(begun), atMost: of(ended) - of(before) };
}

/** Holds what perf recorded against the kernel's own count of faults (mm_account_fault, mm/memory.c). */
export function checkFaults(
  sums: StackSums,
  counted: CountedMeanwhile,
  lost: number,
  threads: number,
): StacksWarning[] {
  const warnings: StacksWarning[] = [];
  // What a thread has had on a CPU since its last sample is in no sample.
  const unsampled = (sums.period - 1) * threads * availableParallelism();
  for (const [name, recorded, rest, times] of [
    ['minor', sums.minor, unsampled, sums.period],
    ['major', sums.major, 0, 1],
  ] as const) {
    const { atLeast, atMost } = grown(counted, (counts) => counts[name]);
    if (recorded > atMost)
      warnings.push({
        code: 'contradicted',
        message: `perf shows ${recorded} ${name} faults, and the kernel counted ${atMost} at most`,
      });
    const missing = atLeast - recorded - rest - lost * times;
    if (missing > 0)
      warnings.push({
        code: 'contradicted',
        message: `${missing} ${name} faults of ${atLeast} are not in what perf recorded: the kernel reached into the memory by itself (io_uring, O_DIRECT, KVM), or perf may not see faults inside of system calls (perf_event_paranoid)`,
      });
  }
  return warnings;
}

/**
 * Holds new memory against how RssAnon grew. Each CPU or thread keeps up to 64 pages, or twice as many pages
 * as there are CPUs, to itself before it adds them (SPLIT_RSS_COUNTING; percpu_counter_batch).
 */
export function checkGrowth(
  sums: StackSums,
  growth: number,
  threads: number,
): StacksWarning | undefined {
  const cpus = availableParallelism();
  const slack = (64 * threads + 2 * Math.max(32, 2 * cpus) * cpus) * sums.pageSize;
  const { anonymous, file, unknown } = sums.kinds;
  const most = anonymous.bytes + file.bytes + unknown.bytes + sums.swappedIn.bytes;
  if (growth <= most + slack) return undefined;
  return {
    code: 'contradicted',
    message: `RssAnon grew by ${growth} bytes, and the faults that were recorded brought ${most} at most: a fault may have brought several pages (multi-size THP), or khugepaged put huge ones in their place`,
  };
}
