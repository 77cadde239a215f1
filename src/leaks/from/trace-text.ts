import { NO_FRAME } from '../readings/known-frames.js';
import { parseSymbolFrame } from '../readings/symbol-frame.js';
import { type EventParser, type FrameNumbers, type TextEvent, textEvent } from './text-event.js';

/** `task-tid (tgid) [cpu] flags seconds: event: fields` (trace_print_context of kernel/trace/trace_output.c). */
const LINE =
  /^ *(?<command>.{0,64})-(?<tid>\d{1,10}) +(?:\([ \d-]{1,10}\) +)?\[(?<cpu>\d{1,5})\] +(?:\S{3,9} +)?(?<seconds>\d{1,12}\.\d{1,9}): (?:kmem:)?(?<event>\w{1,64}|<stack trace>)(?:: (?<fields>.*))?$/;
const LOST = /^CPU:\d+ \[LOST (?<count>\d{1,15}) EVENTS\]$/;
const WRITTEN = /^# entries-in-buffer\/entries-written: (?<kept>\d{1,15})\/(?<written>\d{1,15}) /;
const MOST_FRAMES = 128;

/** A stack comes soon behind its event; other CPUs' events may stand between. */
const MOST_WAITING = 1024;

/** `trace` or `trace_pipe` of tracefs, with `options/stacktrace`. */
export class TraceTextParser implements EventParser {
  strange = 0;
  /** Entries that its heads tell of, and those that were met. */
  #told = 0;
  #met = 0;
  #lost: number | null = null;
  readonly #onEvent: (event: TextEvent) => void;
  readonly #numberOf: FrameNumbers;
  /** In the order of the text, those whose stacks may still come among them. */
  readonly #waiting: { readonly event: TextEvent; readonly cpu: string; open: boolean }[] = [];
  /** Of the stack that is read now, and how many lines it had. */
  #frames: number[] | undefined;
  #lines = 0;

  constructor(onEvent: (event: TextEvent) => void, numberOf: FrameNumbers) {
    this.#onEvent = onEvent;
    this.#numberOf = numberOf;
  }

  get lost(): number | null {
    return this.#lost;
  }

  /** Its text has no mark behind a stack, but `trace` says at its head how many entries it has. */
  get isCut(): boolean {
    return this.#met < this.#told;
  }

  line(text: string): void {
    if (text.startsWith(' => ')) {
      if (this.#frames && this.#lines++ < MOST_FRAMES) {
        const number = this.#numberOf(text.slice(4), parseSymbolFrame);
        if (number !== NO_FRAME) this.#frames.push(number);
      }
      return;
    }
    this.#frames = undefined;
    if (text === '') return;
    if (text.startsWith('#')) {
      const { kept, written } = WRITTEN.exec(text)?.groups ?? {};
      if (kept === undefined) return;
      this.#told += Number(kept);
      this.#count(Number(written) - Number(kept));
      return;
    }
    const lost = LOST.exec(text)?.groups?.count;
    if (lost !== undefined) {
      this.#count(Number(lost));
      return;
    }
    this.#met++;
    const found = LINE.exec(text)?.groups;
    if (!found) {
      this.strange++;
      return;
    }
    const { event = '', cpu = '', tid, command = '', seconds = '', fields = '' } = found;
    if (event === '<stack trace>') {
      this.#stackOf(cpu, Number(tid));
      return;
    }
    const told = textEvent({ event, fields, seconds, command, tid: Number(tid) });
    if (told === undefined) this.strange++;
    if (!told) return;
    this.#waiting.push({ event: told, cpu, open: !told.free });
    this.#flush(MOST_WAITING);
  }

  end(): void {
    this.#flush(0);
  }

  /** What interrupted comes first: its stack too. */
  #stackOf(cpu: string, tid: number): void {
    const found = this.#waiting.findLast(
      (each) => each.open && each.cpu === cpu && each.event.tid === tid,
    );
    if (!found) return;
    this.#lines = 0;
    this.#frames = [];
    found.event.stack = this.#frames;
    found.open = false;
    // Its lines are still to come; what stands before it can go.
  }

  #flush(most: number): void {
    let count = 0;
    const all = this.#waiting;
    while (count < all.length && (all.length - count > most || !all[count]?.open)) {
      const event = all[count]?.event;
      if (event) this.#onEvent(event);
      count++;
    }
    all.splice(0, count);
  }

  #count(lost: number): void {
    this.#lost = (this.#lost ?? 0) + Math.max(0, lost);
  }
}
