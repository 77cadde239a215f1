import type { StackTable } from '../../follow/stack-table.js';
import { ALLOCATED, EventQueue, FREED, LOST, NOT_TOLD, POOLED } from './event-queue.js';
import type { Decoder } from './kinds.js';
import { type PageVisitor, readPage } from './page.js';
import type { PageLayout } from './page-layout.js';

/** What streams of one instance have in common. */
export interface StreamPlan {
  readonly layout: PageLayout;
  /** By `common_type`. */
  readonly decoders: ReadonlyMap<number, Decoder>;
  readonly stacks: StackTable;
  /** What is 0 of all times, nanoseconds on the trace's clock. */
  readonly origin: bigint;
}

/** What a CPU was doing: bits of `common_flags` (TRACE_FLAG_HARDIRQ, SOFTIRQ, NMI of include/linux/trace_events.h). */
const CONTEXT = 0x08 | 0x10 | 0x40;

/** Allocations whose stacks are still to come: one in each context, and of tasks that were switched out amid. */
const MOST_PENDING = 16;

/** log2 of frames. The kernel's largest block has order 10, 18 at most where pages are huge. */
const MOST_ORDER = 20;

/** Below are NULL, ZERO_SIZE_PTR and errors; the largest that kmalloc gives is less than that. */
const LEAST_ADDRESS = 4096;
const MOST_OBJECT_BYTES = 2 ** 32;

/** A failed allocation: -1, of which 21 bits are above what a number holds. */
const NO_FRAME = 0x1f_ffff;

interface Pending {
  readonly number: number;
  readonly time: number;
  readonly tid: number;
  readonly context: number;
}

/** The events of one CPU's buffer, decoded into a queue; each allocation with the stack that follows it. */
export class CpuStream implements PageVisitor {
  readonly queue = new EventQueue();
  /** Nanoseconds since the origin: when the last event was that was read. */
  lastTime = Number.NEGATIVE_INFINITY;
  /** No event is still to come that is earlier, but for those whose writers were interrupted. */
  knownUntil = Number.NEGATIVE_INFINITY;
  /** Of frames or objects; stacks are not counted. */
  events = 0;
  /** All that pages had, stacks and events of others among them. */
  records = 0;
  /** Told by pages: events that were lost. Null: some were, and how many the kernel did not tell. */
  missedEvents: number | null = 0;
  /**
   * Bits 52 to 63 that addresses of all objects had (they are of the direct map, which begins elsewhere with tables of
   * five levels); undefined: none came. Null: they differ.
   */
  upper: number | null | undefined;
  /** Pages or events that make no sense. */
  strange = 0;
  readonly #plan: StreamPlan;
  /** Of the page that is read now. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #pending: Pending[] = [];

  constructor(plan: StreamPlan) {
    this.#plan = plan;
  }

  /** When the oldest allocation was whose stack is still to come; Infinity: there is none. */
  get waitsSince(): number {
    return this.#pending[0]?.time ?? Number.POSITIVE_INFINITY;
  }

  /** @param length how many bytes of it were read */
  page(page: Buffer, length: number): void {
    this.#view = new DataView(page.buffer, page.byteOffset, length);
    readPage(page, length, this.#plan.layout, this.#plan.origin, this);
  }

  missed(count: number | null, time: number): void {
    const before = this.missedEvents;
    this.missedEvents = count === null || before === null ? null : before + count;
    this.#pending = [];
    this.queue.push(LOST, time, 0, count ?? NOT_TOLD, 0);
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
    // An instance has our events alone, unless somebody enables more.
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
      if (high === 0 && low < LEAST_ADDRESS) return;
      if (decoder.kind === 'object-freed') this.queue.push(FREED, time, address, 0, tid);
      else {
        const bytes = lengthIn(page, from, decoder);
        if (bytes > MOST_OBJECT_BYTES) {
          this.torn(time);
          return;
        }
        const upper = high >>> 20;
        this.upper = this.upper === undefined || this.upper === upper ? upper : null;
        this.#taken(ALLOCATED, time, address, bytes, tid, context);
      }
      return;
    }
    if (high > NO_FRAME) return;
    const frame = low + high * 2 ** 32;
    if (decoder.kind === 'pool-page') {
      this.#taken(POOLED, time, frame, 1, tid, context);
      return;
    }
    const order = lengthIn(page, from, decoder);
    if (order > MOST_ORDER) {
      this.torn(time);
      return;
    }
    if (decoder.kind === 'page-freed')
      this.queue.push(FREED, time, frame, 2 ** order, context === 0 ? tid : 0);
    else this.#taken(ALLOCATED, time, frame, 2 ** order, tid, context);
  }

  #taken(
    kind: typeof ALLOCATED | typeof POOLED,
    time: number,
    place: number,
    length: number,
    tid: number,
    context: number,
  ): void {
    // One of the same context that still waits has none.
    this.#takePending(tid, context);
    if (this.#pending.length === MOST_PENDING) this.#pending.shift();
    this.#pending.push({
      number: this.queue.push(kind, time, place, length, tid),
      time,
      tid,
      context,
    });
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

  /** The last one first: what interrupts another comes, stack and all, before the other's stack. */
  #takePending(tid: number, context: number): number | undefined {
    const at = this.#pending.findLastIndex((one) => one.tid === tid && one.context === context);
    return at < 0 ? undefined : this.#pending.splice(at, 1)[0]?.number;
  }
}

function lengthIn(page: Buffer, from: number, { length, lengthBytes }: Decoder): number {
  const low = page.readUInt32LE(from + length);
  return lengthBytes === 4 ? low : low + page.readUInt32LE(from + length + 4) * 2 ** 32;
}
