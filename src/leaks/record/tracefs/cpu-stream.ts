import type { StackTable } from '../../site-frames.js';
import type { Decoder } from './kinds.js';
import { type PageLayout, type PageVisitor, readPage } from './page.js';

/** Common part of the streams of one instance. */
export interface StreamPlan {
  readonly layout: PageLayout;
  /** Decoders by `common_type`. */
  readonly decoders: ReadonlyMap<number, Decoder>;
  readonly stacks: StackTable;
  /** Time 0, nanoseconds on the trace's clock. */
  readonly origin: bigint;
}

/**
 * Interrupt context of a CPU: bits of `common_flags` (TRACE_FLAG_HARDIRQ, SOFTIRQ, NMI of
 * include/linux/trace_events.h).
 */
const CONTEXT = 0x08 | 0x10 | 0x40;

/**
 * Maximum number of allocations whose stacks have not arrived: one in each context, and those of tasks that
 * were switched out in between.
 */
const MAX_PENDING = 16;

/** Maximum log2 of frames. The kernel's largest block has order 10, or at most 18 with huge pages. */
const MAX_ORDER = 20;

/** Lower values are NULL, ZERO_SIZE_PTR and errors. */
const MIN_ADDRESS = 4096;
const MAX_OBJECT_BYTES = 2 ** 32;

/** A failed allocation: -1, of which 21 bits exceed what a number holds. */
const NO_FRAME = 0x1f_ffff;

interface Pending {
  readonly number: number;
  readonly time: number;
  readonly tid: number;
  readonly context: number;
}

/** Events of one CPU's buffer, decoded into a queue. Each allocation gets the stack that follows it. */
export class CpuStream implements PageVisitor {
  readonly queue = new EventQueue();
  /** Time of the last event that was read, nanoseconds since the origin. */
  lastTime = Number.NEGATIVE_INFINITY;
  /** Time before which no further events can arrive, except those of interrupted writers. */
  knownUntil = Number.NEGATIVE_INFINITY;
  /** Events of frames or objects; stacks are not counted. */
  events = 0;
  /** Number of all records in pages, including stacks and events of other programs. */
  records = 0;
  /** Number of lost events according to page headers; null: some are lost, in unknown number. */
  missedEvents: number | null = 0;
  /**
   * Bits 52 to 63 that all object addresses share (objects are in the direct map, which begins elsewhere with
   * 5-level page tables); undefined: no objects yet; null: they differ.
   */
  upper: number | null | undefined;
  /** Malformed pages or events. */
  strange = 0;
  readonly #plan: StreamPlan;
  /** The page that is being read. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #pending: Pending[] = [];

  constructor(plan: StreamPlan) {
    this.#plan = plan;
  }

  /** Time of the oldest allocation whose stack has not arrived; Infinity if there is none. */
  get waitsSince(): number {
    return this.#pending[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /** @param length number of bytes that were read */
  page(page: Buffer, length: number): void {
    this.#view = new DataView(page.buffer, page.byteOffset, length);
    readPage(page, length, this.#plan.layout, this.#plan.origin, this);
  }

  missed(count: number | null, time: number): void {
    const before = this.missedEvents;
    this.missedEvents = count === null || before === null ? null : before + count;
    this.#pending = [];
    this.queue.push(LOST, time, 0, count ?? UNKNOWN, 0);
  }

  torn(time: number): void {
    this.strange++;
    this.missed(null, time);
  }

  event(page: Buffer, from: number, to: number, time: number): void {
    this.records++;
    if (to - from < 2) {
      this.torn(time);
      return;
    }
    this.lastTime = time;
    const decoder = this.#plan.decoders.get(page.readUInt16LE(from));
    // An instance contains only our events, unless another program enables more.
    if (decoder === undefined) return;
    if (to - from < decoder.leastBytes) {
      this.torn(time);
      return;
    }
    const tid = page.readInt32LE(from + decoder.tid);
    const context = page.readUInt8(from + decoder.flags) & CONTEXT;
    if (decoder.kind === 'stack') {
      this.#stack(page, decoder, { from, to }, tid, context);
      return;
    }
    this.events++;
    const low = page.readUInt32LE(from + decoder.place);
    const high = page.readUInt32LE(from + decoder.place + 4);
    if (decoder.kind === 'object-allocated' || decoder.kind === 'object-freed') {
      const address = low + (high & 0xf_ffff) * 2 ** 32;
      if (high === 0 && low < MIN_ADDRESS) return;
      if (decoder.kind === 'object-freed') this.queue.push(FREED, time, address, 0, tid);
      else {
        const bytes = lengthIn(page, from, decoder);
        if (bytes > MAX_OBJECT_BYTES) {
          this.torn(time);
          return;
        }
        const upper = high >>> 20;
        this.upper = this.upper === undefined || this.upper === upper ? upper : null;
        this.#allocated(ALLOCATED, time, address, bytes, tid, context);
      }
      return;
    }
    if (high > NO_FRAME) return;
    const frame = low + high * 2 ** 32;
    if (decoder.kind === 'pool-page') {
      this.#allocated(POOLED, time, frame, 1, tid, context);
      return;
    }
    const order = lengthIn(page, from, decoder);
    if (order > MAX_ORDER) {
      this.torn(time);
      return;
    }
    if (decoder.kind === 'page-freed') this.queue.push(FREED, time, frame, 2 ** order, context === 0 ? tid : 0);
    else this.#allocated(ALLOCATED, time, frame, 2 ** order, tid, context);
  }

  #allocated(
    kind: typeof ALLOCATED | typeof POOLED,
    time: number,
    place: number,
    length: number,
    tid: number,
    context: number,
  ): void {
    // A pending allocation of the same context has no stack.
    this.#takePending(tid, context);
    if (this.#pending.length === MAX_PENDING) this.#pending.shift();
    this.#pending.push({ number: this.queue.push(kind, time, place, length, tid), time, tid, context });
  }

  #stack(
    page: Buffer,
    decoder: Decoder,
    { from, to }: { readonly from: number; readonly to: number },
    tid: number,
    context: number,
  ): void {
    const number = this.#takePending(tid, context);
    if (number === undefined) return;
    const start = from + decoder.place;
    const count = Math.min(lengthIn(page, from, decoder), Math.floor((to - start) / 8));
    if (count > 0) this.queue.giveStack(number, this.#plan.stacks.number(this.#view, start, count));
  }

  /**
   * The latest one first: an interrupting event and its stack come before the stack of the interrupted one.
   */
  #takePending(tid: number, context: number): number | undefined {
    const at = this.#pending.findLastIndex((pending) => pending.tid === tid && pending.context === context);
    return at < 0 ? undefined : this.#pending.splice(at, 1)[0]?.number;
  }
}

function lengthIn(page: Buffer, from: number, { length, lengthBytes }: Decoder): number {
  const low = page.readUInt32LE(from + length);
  return lengthBytes === 4 ? low : low + page.readUInt32LE(from + length + 4) * 2 ** 32;
}

/** Kinds of events in an {@link EventQueue}. */
export const ALLOCATED = 0;
export const FREED = 1;
const LOST = 2;
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
  shift(visit: (kind: number, time: number, place: number, length: number, tid: number, stack: number) => void): void {
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
      for (let number = this.first; number < this.next; number++) to[number % room] = from[number % old] ?? 0;
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
