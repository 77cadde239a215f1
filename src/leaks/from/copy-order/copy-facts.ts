/**
 * What two copies say of their order. `later`: the second is the later one. `earlier`: it is the earlier one.
 * `unrelated`: they are of two machines, or of two starts of one. `untold`: nothing in them tells.
 */
export type CopyOrder = 'later' | 'earlier' | 'unrelated' | 'untold';

/** What of one copy tells when and where it was taken, gathered line by line. Bounded, whatever the copy has. */
export interface CopyFacts {
  line(text: string): void;
  /** @param earlier of the copy that is given as the one before, of the same method */
  after(earlier: this): CopyOrder;
}

/** Lines, blocks or stacks that a copy may be known by. */
export const MOST_MARKS = 100_000;

/** Fewer than these that could be compared tell nothing. */
export const LEAST_MARKS = 8;
