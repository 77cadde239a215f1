/** Kinds of events in an {@link EventQueue}. */
export const ALLOCATED = 0;
export const FREED = 1;
export const LOST = 2;
/** A page pool took a page; its allocation may already have been reported. */
export const POOLED = 3;

/** No stack, or an unknown number of lost events. */
export const UNKNOWN = -1;

/**
 * Events of one buffer in order, queued until no other buffer can have earlier ones. Typed arrays that are
 * reused, 33 bytes per event.
 */
export class EventQueue {
  /** Numbers of the first queued event and of the next one to be added. They only increase. */
  first = 0;
  next = 0;
  #room = 1024;
  #time = new Float64Array(this.#room);
  #place = new Float64Array(this.#room);
  #length = new Float64Array(this.#room);
  #tid = new Int32Array(this.#room);
  #stack = new Int32Array(this.#room);
  #kind = new Uint8Array(this.#room);

  get size(): number {
    return this.next - this.first;
  }

  /** @returns number of the event */
  push(kind: number, time: number, place: number, length: number, tid: number): number {
    if (this.size === this.#room) this.#grow();
    const number = this.next++;
    const at = number % this.#room;
    this.#kind[at] = kind;
    this.#time[at] = time;
    this.#place[at] = place;
    this.#length[at] = length;
    this.#tid[at] = tid;
    this.#stack[at] = UNKNOWN;
    return number;
  }

  /** Sets the stack of an event, which arrives after it. @returns false if the event is no longer queued */
  giveStack(number: number, stack: number): boolean {
    if (number < this.first) return false;
    this.#stack[number % this.#room] = stack;
    return true;
  }

  /** Time of the first queued event; Infinity if there is none. */
  get firstTime(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : (this.#time[this.first % this.#room] ?? 0);
  }

  /** Removes the first event and passes it to `visit`. */
  shift(
    visit: (
      kind: number,
      time: number,
      place: number,
      length: number,
      tid: number,
      stack: number,
    ) => void,
  ): void {
    const at = this.first++ % this.#room;
    visit(
      this.#kind[at] ?? LOST,
      this.#time[at] ?? 0,
      this.#place[at] ?? 0,
      this.#length[at] ?? 0,
      this.#tid[at] ?? 0,
      this.#stack[at] ?? UNKNOWN,
    );
  }

  #grow(): void {
    const [old, room] = [this.#room, this.#room * 2];
    const moved = <T extends Float64Array | Int32Array | Uint8Array>(to: T, from: T): T => {
      for (let number = this.first; number < this.next; number++)
        to[number % room] = from[number % old] ?? 0;
      return to;
    };
    this.#time = moved(new Float64Array(room), this.#time);
    this.#place = moved(new Float64Array(room), this.#place);
    this.#length = moved(new Float64Array(room), this.#length);
    this.#tid = moved(new Int32Array(room), this.#tid);
    this.#stack = moved(new Int32Array(room), this.#stack);
    this.#kind = moved(new Uint8Array(room), this.#kind);
    this.#room = room;
  }
}
