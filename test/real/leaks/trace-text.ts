import type { AllocationSink } from '../../../src/leaks/site-frames.js';

/** One event of kmem as tracefs prints it: decoded by the kernel, not by our code. */
interface TextEvent {
  /** Nanoseconds; printed in microseconds. */
  readonly time: number;
  readonly frame: number;
  readonly frames: number;
  /** For an allocation: functions, innermost first; empty until its stack arrives. */
  stack: string[];
  readonly isFree: boolean;
  readonly tid: number;
}

const EVENT = /^.{16,}?-(\d+) +\[\d+\] \S+ +([\d.]+): mm_page_(alloc|free): page=\S+ pfn=(\S+) order=(\d+)/;
const STACK = /^.{16,}?-(\d+) +\[\d+\] \S+ +[\d.]+: <stack trace>/;
const CALLER = /^ => (\S+)/;

/** Functions from here on belong to the interrupted code, which did not allocate. */
const INTERRUPTION = /^(asm_|sysvec_|common_interrupt|__do_softirq|handle_softirqs|irq_exit)/;

/** Events in `trace` of an instance, with their stacks. */
export function traceEvents(text: string): TextEvent[] {
  const events: TextEvent[] = [];
  /** Allocations by thread whose stack is still missing: an interrupt's stack comes first. */
  const waiting = new Map<string, TextEvent[]>();
  let stack: string[] | undefined;
  for (const line of text.split('\n')) {
    const caller = CALLER.exec(line)?.[1];
    if (caller !== undefined) {
      if (INTERRUPTION.test(caller)) stack = undefined;
      stack?.push(caller);
      continue;
    }
    const thread = STACK.exec(line)?.[1];
    if (thread !== undefined) {
      stack = waiting.get(thread)?.pop()?.stack;
      continue;
    }
    const [, tid = '', time, what, frame, order] = EVENT.exec(line) ?? [];
    if (time === undefined) continue;
    const event: TextEvent = {
      time: Math.round(Number(time) * 1e6) * 1000,
      frame: Number(frame),
      frames: 2 ** Number(order),
      stack: [],
      isFree: what === 'free',
      tid: Number(tid),
    };
    events.push(event);
    if (!event.isFree) waiting.set(tid, [...(waiting.get(tid) ?? []), event].slice(-4));
  }
  return events;
}

/** Sorts by time. Within a microsecond a free comes before the next allocation of the frame. */
export function inOrder(...texts: string[]): TextEvent[] {
  return texts
    .flatMap(traceEvents)
    .sort((one, other) => one.time - other.time || Number(other.isFree) - Number(one.isFree));
}

/** Sends them to a sink; the caller numbers the stacks. */
export function replay(
  events: readonly TextEvent[],
  sink: AllocationSink,
  numberOf: (stack: readonly string[]) => number,
): void {
  for (const { time, frame, frames, stack, isFree, tid } of events)
    if (isFree) sink.freed(frame, frames, time);
    else sink.allocated(frame, frames, time, tid, numberOf(stack));
}
