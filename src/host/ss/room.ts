/**
 * So many sockets of one sample are kept: each costs up to 10 KB until the answer is printed, and a
 * look is to stay below 500 MB. A host in trouble has thousands with something in a queue.
 */
export const MOST_SOCKETS = 20_000;

/** The room for the sockets of one sample, over all its namespaces and families. */
export class Room {
  #left: number;

  constructor(most = MOST_SOCKETS) {
    this.#left = most;
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  /** True while there is room for one more, which is taken then. */
  take(): boolean {
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }
}
