/** Buffers of CPUs are printed one after the other, and an event that was interrupted comes late; but not so late. */
const MOST_LATE_NS = 1e9;

/** Times of events of one file, in the order of the file. */
export class TimeOrder {
  first = Number.POSITIVE_INFINITY;
  last = Number.NEGATIVE_INFINITY;
  /** Events that are earlier than one before them: of another recording, or one of the two is damaged. */
  back = 0;

  /** @param time nanoseconds */
  add(time: number): void {
    if (time < this.last - MOST_LATE_NS) this.back++;
    this.first = Math.min(this.first, time);
    this.last = Math.max(this.last, time);
  }
}

/** Events that go back in time, and files that begin when all before them have ended: what was freed between is not known. */
export function disorderOf(files: readonly TimeOrder[]): number {
  let [gaps, until] = [0, Number.POSITIVE_INFINITY];
  const used = files.filter(({ last }) => last >= 0);
  for (const { first, last } of used.toSorted((one, other) => one.first - other.first)) {
    if (first > until + MOST_LATE_NS) gaps++;
    until = Math.max(last, until === Number.POSITIVE_INFINITY ? last : until);
  }
  return gaps + used.reduce((sum, { back }) => sum + back, 0);
}
