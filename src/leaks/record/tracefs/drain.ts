import { setTimeout as delay } from 'node:timers/promises';
import type { Gap } from '../../recording.js';
import type { AllocationSink } from '../../site-frames.js';
import { ALLOCATED, type EventQueue, FREED, POOLED, UNKNOWN } from './cpu-stream.js';
import { type InstanceReader, onlineCpus } from './reader.js';

/** The buffers of one instance. */
export type Buffers = Pick<InstanceReader, 'streams' | 'read'>;

/** Maximum delay between the time of an event and its commit: its writer may be interrupted. */
const HOLD_NS = 20e6;

/**
 * Maximum time to wait for a stack: it follows its allocation, but the thread may be switched out in between.
 */
const MAX_HOLD_NS = 200e6;

/** Pages of all buffers in one round, so that queued events stay below 20 MB. */
const PAGES_IN_ROUND = 4096;

/** Pages of each buffer per round while everything is drained. */
const PAGES_AT_ONCE = 256;

/** Interval between two reads of the buffers. */
const MIN_PAUSE_MS = 20;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 500;

/** Interval between two reads of the list of online CPUs. */
const ONLINE_MS = 2000;

/** Reads the buffers of instances periodically, and passes their events to a sink in order of time. */
export class Drain {
  readonly #readers: readonly Buffers[];
  readonly #merge: Merge;
  /** Current time, nanoseconds since the origin of the streams. */
  readonly #now: () => number;
  readonly #pagesOfBuffer: number;
  #pause = FIRST_PAUSE_MS;
  #online: ReadonlySet<number> | undefined;
  #onlineAt = Number.NEGATIVE_INFINITY;

  constructor(
    readers: readonly Buffers[],
    sink: AllocationSink,
    { now, pagesOfBuffer }: { readonly now: () => number; readonly pagesOfBuffer: number },
  ) {
    this.#readers = readers;
    this.#now = now;
    this.#pagesOfBuffer = pagesOfBuffer;
    const queues = readers.flatMap(({ streams }) => streams.map(({ queue }) => queue));
    this.#merge = new Merge(queues, sink);
  }

  /** Number of events that arrived after later ones were passed on. */
  get late(): number {
    return this.#merge.late;
  }

  /** Waits until buffers must be read, but not beyond a time (ns since the origin). */
  async rest(until: number, stop: AbortSignal): Promise<void> {
    const milliseconds = Math.min(this.#pause, (until - this.#now()) / 1e6);
    if (milliseconds > 0) await delay(milliseconds, undefined, { signal: stop }).catch(() => {});
  }

  /** Reads available events, and passes on those that no further event can precede. */
  round(): void {
    const now = this.#now();
    if (now - this.#onlineAt > ONLINE_MS * 1e6) {
      this.#online = onlineCpus();
      this.#onlineAt = now;
    }
    const buffers = this.#sum(({ streams }) => streams.length);
    const most = Math.max(4, Math.floor(PAGES_IN_ROUND / Math.max(1, buffers)));
    const rounds = this.#readers.map((reader) => reader.read(most, now, this.#online));
    const drained = rounds.every((round) => round.drained);
    const fill = Math.max(...rounds.map(({ mostPages }) => mostPages)) / this.#pagesOfBuffer;
    if (!drained || fill > 1 / 4) this.#pause = Math.max(MIN_PAUSE_MS, this.#pause / 2);
    else if (fill < 1 / 16) this.#pause = Math.min(MAX_PAUSE_MS, this.#pause * 1.5);
    this.#merge.release(this.#safe(now));
  }

  /** Reads all events up to a time, and passes them on. */
  async upTo(time: number): Promise<void> {
    while (this.#now() < time + HOLD_NS) await delay((time + HOLD_NS - this.#now()) / 1e6 + 1);
    this.#readAll();
    this.#merge.release(time);
  }

  /** Releases all remaining events: nothing more is written. */
  finish(): void {
    this.#readAll();
    this.#merge.release(Number.POSITIVE_INFINITY);
  }

  /** Bounded, so that a writer that is faster than this reader cannot keep it busy. */
  #readAll(): void {
    const most = Math.ceil((2 * this.#pagesOfBuffer) / PAGES_AT_ONCE) + 1;
    for (let round = 0; round < most; round++) {
      const now = this.#now();
      const rounds = this.#readers.map((reader) => reader.read(PAGES_AT_ONCE, now));
      if (rounds.every(({ drained }) => drained)) return;
    }
  }

  /** All further events are later than this. */
  #safe(now: number): number {
    const streams = this.#readers.flatMap((reader) => reader.streams);
    const known = Math.min(...streams.map(({ knownUntil }) => knownUntil)) - HOLD_NS;
    const waits = Math.min(...streams.map(({ waitsSince }) => waitsSince));
    return Math.min(known, Math.max(waits - 1, now - MAX_HOLD_NS));
  }

  #sum(figure: (reader: Buffers) => number): number {
    return this.#readers.reduce((sum, reader) => sum + figure(reader), 0);
  }
}

/** Merges the events of several queues in order of time. */
export class Merge {
  /** Number of events passed on after later ones: their delay was longer than the wait. */
  late = 0;
  readonly #queues: readonly EventQueue[];
  readonly #sink: AllocationSink;
  #releasedUntil = Number.NEGATIVE_INFINITY;
  /** Non-empty queues, as a binary heap by the time of their first event. */
  #heap: EventQueue[] = [];

  constructor(queues: readonly EventQueue[], sink: AllocationSink) {
    this.#queues = queues;
    this.#sink = sink;
  }

  /** Passes all events up to a time to the sink. No later event may precede that time. */
  release(until: number): void {
    this.#heap = this.#queues
      .filter((queue) => hasUntil(queue, until))
      .toSorted((queue, other) => queue.firstTime - other.firstTime);
    for (let queue = this.#heap[0]; queue !== undefined; queue = this.#heap[0]) {
      // While it remains the first, the heap needs no sifting.
      const next = Math.min(until, this.#secondTime);
      do queue.shift(this.#release);
      while (hasUntil(queue, next));
      if (!hasUntil(queue, until)) this.#dropFirst();
      this.#sift();
    }
  }

  readonly #release = (kind: number, time: number, place: number, length: number, tid: number, stack: number): void => {
    if (time < this.#releasedUntil) this.late++;
    else this.#releasedUntil = time;
    if (kind === ALLOCATED) this.#sink.allocated(place, length, time, tid, stack);
    else if (kind === FREED) this.#sink.freed(place, length, time, tid);
    else if (kind === POOLED) this.#sink.pooled?.(place, time, tid, stack);
    else this.#sink.lost(length === UNKNOWN ? null : length, time);
  };

  get #secondTime(): number {
    const [, left, other] = this.#heap;
    const time = (queue: EventQueue | undefined) => queue?.firstTime ?? Number.POSITIVE_INFINITY;
    return Math.min(time(left), time(other));
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
      for (const child of [2 * at + 1, 2 * at + 2]) if (timeAt(heap, child) < timeAt(heap, least)) least = child;
      const [left, other] = [heap[at], heap[least]];
      if (least === at || left === undefined || other === undefined) return;
      heap[at] = other;
      heap[least] = left;
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

/**
 * Lost events, by two counts: pages show that some are missing, but not always how many; counters of the
 * buffers show how many were overwritten, but not those on damaged pages.
 *
 * @param read null: some are missing, in an unknown number
 * @param counted null: counters cannot be read
 * @returns null if unknown
 */
export function lostEvents(read: number | null, counted: number | null): number | null {
  if (read !== null && counted !== null) return Math.max(read, counted);
  // An unknown count is not zero.
  return (read ?? counted ?? 0) > 0 ? (read ?? counted) : null;
}

/**
 * Gaps in stacks.
 *
 * @param otherStacks events whose stack found no room
 * @param areNamed functions have names: those without cannot be compared
 */
export function gapsOf(otherStacks: number, areNamed: boolean): readonly Gap[] {
  return [
    { code: 'sites' as const, source: 'tracefs', count: otherStacks },
    { code: 'unreadable' as const, source: '/proc/kallsyms', count: areNamed ? 0 : 1 },
  ].filter(({ count }) => count > 0);
}
