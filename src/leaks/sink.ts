/**
 * Takes allocations and frees in the order in which they happened, over all CPUs. Whoever reads events tells them
 * here; whoever pairs them implements it. Nothing is made per event: there may be 100,000 in a second.
 */
export interface AllocationSink {
  /**
   * @param place number of the first frame, or the lower 52 bits of an object's address
   * @param length frames, or bytes
   * @param time nanoseconds on the trace's clock
   * @param stack as `StackTable` numbered it; -1: there is none
   */
  allocated(place: number, length: number, time: number, tid: number, stack: number): void;
  /**
   * A page pool has taken a page. Where its allocation was told already that one counts; what came in bulk some
   * kernels tell by this alone. Of pages only.
   */
  pooled?(frame: number, time: number, tid: number, stack: number): void;
  /**
   * @param length frames, or bytes; 0: not reported (an object is freed whole)
   * @param tid thread that freed it; 0, absent: an interrupt, or not reported
   */
  freed(place: number, length: number, time: number, tid?: number): void;
  /** Allocated by a thread that is not followed: the place was free before, and its free will match nothing. */
  skipped?(place: number, length: number, time: number): void;
  /** Events were lost on a CPU before this moment: so many, or null where the kernel does not tell. */
  lost(count: number | null, time: number): void;
}
