import type { AllocationSink } from '../../sink.js';

/**
 * Lets through what some threads allocate. What others allocate tells that the place was free before.
 */
export function ofThreads(sink: AllocationSink, threads: (tid: number) => boolean): AllocationSink {
  return {
    allocated(place, length, time, tid, stack) {
      if (threads(tid)) sink.allocated(place, length, time, tid, stack);
      else sink.skipped?.(place, length, time);
    },
    pooled(frame, time, tid, stack) {
      if (threads(tid)) sink.pooled?.(frame, time, tid, stack);
      // Its allocation may have been reported before: it is not taken off the balance twice.
      else sink.freed(frame, 1, time);
    },
    freed: (place, length, time, tid) => sink.freed(place, length, time, tid),
    skipped: (place, length, time) => sink.skipped?.(place, length, time),
    lost: (count, time) => sink.lost(count, time),
  };
}
