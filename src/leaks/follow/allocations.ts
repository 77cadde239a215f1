/** There is none. */
export const NONE = -1;

/** Allocations that are held, in typed arrays: 32 bytes each. A number that is given back is given again. */
export class Allocations {
  size = 0;
  #next = 0;
  /** The number that was given back last; in its `held` is the one before. */
  #free = NONE;
  readonly #place: Float64Array;
  readonly #time: Float64Array;
  readonly #length: Uint32Array;
  readonly #held: Int32Array;
  readonly #tid: Int32Array;
  readonly #stack: Int32Array;

  /** Room for all of them is asked for at once: what is not written to is no memory yet. */
  constructor(readonly max: number) {
    this.#place = new Float64Array(max);
    this.#time = new Float64Array(max);
    this.#length = new Uint32Array(max);
    this.#held = new Int32Array(max);
    this.#tid = new Int32Array(max);
    this.#stack = new Int32Array(max);
  }

  /** @returns its number; -1: there is no room */
  add(place: number, length: number, time: number, tid: number, stack: number): number {
    if (this.size >= this.max) return NONE;
    let number = this.#free;
    if (number === NONE) number = this.#next++;
    else this.#free = -2 - (this.#held[number] ?? 0);
    this.size++;
    this.#place[number] = place;
    this.#length[number] = length;
    this.#time[number] = time;
    this.#tid[number] = tid;
    this.#stack[number] = stack;
    this.#held[number] = 0;
    return number;
  }

  remove(number: number): void {
    this.size--;
    // Negative, which what is held never is.
    this.#held[number] = -2 - this.#free;
    this.#free = number;
  }

  /** What of it is held, in units of who follows it. @returns what it is now */
  hold(number: number, more: number): number {
    const held = (this.#held[number] ?? 0) + more;
    this.#held[number] = held;
    return held;
  }

  held(number: number): number {
    return this.#held[number] ?? 0;
  }

  place(number: number): number {
    return this.#place[number] ?? 0;
  }

  length(number: number): number {
    return this.#length[number] ?? 0;
  }

  time(number: number): number {
    return this.#time[number] ?? 0;
  }

  tid(number: number): number {
    return this.#tid[number] ?? 0;
  }

  stack(number: number): number {
    return this.#stack[number] ?? 0;
  }

  /** By number, so that it is the same each time. Those that it visits may be removed. */
  each(visit: (number: number) => void): void {
    for (let number = 0; number < this.#next; number++)
      if ((this.#held[number] ?? NONE) >= 0) visit(number);
  }
}
