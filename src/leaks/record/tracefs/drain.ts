import { setTimeout as delay } from 'node:timers/promises';
import type { AllocationSink } from '../../sink.js';
import { Merge } from './merge.js';
import { type InstanceReader, onlineCpus } from './reader.js';

/** Buffers that are read: those of one instance. */
export type Buffers = Pick<InstanceReader, 'streams' | 'read'>;

/** An event may come that much later into its buffer than its time says: who wrote it was interrupted. */
const HOLD_NS = 20e6;

/** A stack comes behind its allocation; one whose thread was switched out between them is waited for so long. */
const MOST_HOLD_NS = 200e6;

/** Of all buffers in one round, so that what waits stays below 20 MB. */
const PAGES_IN_ROUND = 4096;

/** Of each buffer, where all that there is shall be read. */
const PAGES_AT_ONCE = 256;

/** Between two looks at the buffers. */
const LEAST_PAUSE_MS = 20;
const FIRST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 500;

/** Which CPUs run is asked anew so often. */
const ONLINE_MS = 2000;

/** Reads buffers of instances now and then, and tells a sink of their events in the order of their times. */
export class Drain {
  readonly #readers: readonly Buffers[];
  readonly #merge: Merge;
  /** Nanoseconds since the origin of the streams. */
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

  /** Events that came after later ones had been told. */
  get late(): number {
    return this.#merge.late;
  }

  /** Waits as long as buffers need no look, but not beyond a time (ns since the origin). */
  async rest(until: number, stop: AbortSignal): Promise<void> {
    const milliseconds = Math.min(this.#pause, (until - this.#now()) / 1e6);
    if (milliseconds > 0) await delay(milliseconds, undefined, { signal: stop }).catch(() => {});
  }

  /** Reads what there is, and tells of all that nothing to come can precede. */
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
    if (!drained || fill > 1 / 4) this.#pause = Math.max(LEAST_PAUSE_MS, this.#pause / 2);
    else if (fill < 1 / 16) this.#pause = Math.min(MOST_PAUSE_MS, this.#pause * 1.5);
    this.#merge.release(this.#safe(now));
  }

  /** Reads all up to a time, and tells of it. */
  async upTo(time: number): Promise<void> {
    while (this.#now() < time + HOLD_NS) await delay((time + HOLD_NS - this.#now()) / 1e6 + 1);
    this.#readAll();
    this.#merge.release(time);
  }

  /** Nothing is written any more: all that is left. */
  finish(): void {
    this.#readAll();
    this.#merge.release(Number.POSITIVE_INFINITY);
  }

  /** Bounded: whoever writes faster than this reads is not waited for. */
  #readAll(): void {
    const most = Math.ceil((2 * this.#pagesOfBuffer) / PAGES_AT_ONCE) + 1;
    for (let round = 0; round < most; round++) {
      const now = this.#now();
      const rounds = this.#readers.map((reader) => reader.read(PAGES_AT_ONCE, now));
      if (rounds.every(({ drained }) => drained)) return;
    }
  }

  /** What comes from now on is later. */
  #safe(now: number): number {
    const streams = this.#readers.flatMap((reader) => reader.streams);
    const known = Math.min(...streams.map(({ knownUntil }) => knownUntil)) - HOLD_NS;
    const waits = Math.min(...streams.map(({ waitsSince }) => waitsSince));
    return Math.min(known, Math.max(waits - 1, now - MOST_HOLD_NS));
  }

  #sum(figure: (reader: Buffers) => number): number {
    return this.#readers.reduce((sum, reader) => sum + figure(reader), 0);
  }
}
