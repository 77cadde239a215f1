import type { AllocationSink } from '../../sink.js';
import { ALLOCATED, type EventQueue, FREED, NOT_TOLD, POOLED } from './event-queue.js';

/** Events of several queues as one stream, in the order of their times. */
export class Merge {
  /** Some were told after later ones: they came longer after their time than is waited for. */
  late = 0;
  readonly #queues: readonly EventQueue[];
  readonly #sink: AllocationSink;
  #told = Number.NEGATIVE_INFINITY;
  /** Queues that have something, as a binary heap by the time of what is first in them. */
  #heap: EventQueue[] = [];

  constructor(queues: readonly EventQueue[], sink: AllocationSink) {
    this.#queues = queues;
    this.#sink = sink;
  }

  /** Tells the sink of all up to a time, which no event that is still to come precedes. */
  release(until: number): void {
    this.#heap = this.#queues
      .filter((queue) => hasUntil(queue, until))
      .toSorted((one, other) => one.firstTime - other.firstTime);
    for (let queue = this.#heap[0]; queue !== undefined; queue = this.#heap[0]) {
      // As long as it stays the first there is nothing to sift.
      const next = Math.min(until, this.#secondTime);
      do queue.shift(this.#tell);
      while (hasUntil(queue, next));
      if (!hasUntil(queue, until)) this.#dropFirst();
      this.#sift();
    }
  }

  readonly #tell = (
    kind: number,
    time: number,
    place: number,
    length: number,
    tid: number,
    stack: number,
  ): void => {
    if (time < this.#told) this.late++;
    else this.#told = time;
    if (kind === ALLOCATED) this.#sink.allocated(place, length, time, tid, stack);
    else if (kind === FREED) this.#sink.freed(place, length, time, tid);
    else if (kind === POOLED) this.#sink.pooled?.(place, time, tid, stack);
    else this.#sink.lost(length === NOT_TOLD ? null : length, time);
  };

  get #secondTime(): number {
    const [, one, other] = this.#heap;
    const time = (queue: EventQueue | undefined) => queue?.firstTime ?? Number.POSITIVE_INFINITY;
    return Math.min(time(one), time(other));
  }

  #dropFirst(): void {
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#heap[0] = last;
  }

  #sift(): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2])
        if (timeAt(heap, child) < timeAt(heap, least)) least = child;
      const [one, other] = [heap[at], heap[least]];
      if (least === at || one === undefined || other === undefined) return;
      heap[at] = other;
      heap[least] = one;
      at = least;
    }
  }
}

function hasUntil(queue: EventQueue, until: number): boolean {
  return queue.size > 0 && queue.firstTime <= until;
}

function timeAt(heap: readonly EventQueue[], at: number): number {
  return heap[at]?.firstTime ?? Number.POSITIVE_INFINITY;
}
