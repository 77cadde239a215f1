import type { SiteFrame } from '../../records/allocation-sites.js';
import { NO_FRAME, parseSymbolFrame } from '../readings/tally.js';
import { type EventParser, type FrameNumbers, type TextEvent, textEvent } from './text-event.js';

/** `command pid/tid [cpu] flags seconds: period event: fields` (perf_sample__fprintf_start of builtin-script.c). */
const LINE =
  /^ *(?<command>\S.{0,64}?) +(?:\d{1,10}\/)?(?<tid>\d{1,10}) +(?:\[\d{1,5}\] +)?(?:\S{3,9} +)?(?<seconds>\d{1,12}\.\d{1,9}): +(?:\d{1,15} +)?(?:[a-z]{1,20}:)?(?<event>\w{1,64}): *(?<fields>.*)$/;
const LOST = /PERF_RECORD_LOST(?:_SAMPLES)? lost (?<count>\d{1,15})$/;
/** Kernel addresses have their upper bits set, and kernel symbols contain no spaces. */
const KERNEL_FRAME =
  /^\t *ff[0-9a-f]{14} (?:(?<symbol>\S{1,512})\+0x(?<offset>[0-9a-f]{1,8})|\[unknown\]|(?<plain>\S{1,512})) \((?<module>[^()]{1,4096})\)$/;
const MAX_FRAMES = 128;

/** `perf script` output of kmem:* events with call chains, in the default format. */
export class PerfScriptParser implements EventParser {
  strange = 0;
  isCut = false;
  /** Only `--show-lost-events` prints lost events. */
  lost: number | null = null;
  readonly #onEvent: (event: TextEvent) => void;
  readonly #numberOf: FrameNumbers;
  #open: { readonly event: TextEvent; readonly stack: number[]; lines: number } | undefined;

  constructor(onEvent: (event: TextEvent) => void, numberOf: FrameNumbers) {
    this.#onEvent = onEvent;
    this.#numberOf = numberOf;
  }

  line(text: string): void {
    if (text.startsWith('\t')) {
      const open = this.#open;
      if (!open || open.lines++ >= MAX_FRAMES) return;
      const number = this.#numberOf(text, kernelFrame);
      if (number !== NO_FRAME) open.stack.push(number);
      return;
    }
    this.#close();
    if (text === '' || text.startsWith('#')) return;
    const lost = LOST.exec(text)?.groups?.count;
    if (lost !== undefined) {
      this.lost = (this.lost ?? 0) + Number(lost);
      return;
    }
    const groups = LINE.exec(text)?.groups;
    if (!groups) {
      this.strange++;
      return;
    }
    const { command = '', tid, seconds = '', event = '', fields = '' } = groups;
    const parsed = textEvent({ event, fields, seconds, command, tid: Number(tid) });
    if (parsed === undefined) this.strange++;
    if (parsed) this.#open = { event: parsed, stack: [], lines: 0 };
  }

  /** A complete call chain is followed by an empty line. */
  end(): void {
    this.isCut = (this.#open?.lines ?? 0) > 0;
    this.#close();
  }

  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    open.event.stack = open.stack;
    this.#onEvent(open.event);
  }
}

/** Null for user-space frames, which follow those of the kernel. */
function kernelFrame(line: string): SiteFrame | null {
  const groups = KERNEL_FRAME.exec(line)?.groups;
  if (!groups) return null;
  const { symbol, plain, offset, module = '' } = groups;
  return {
    symbol: symbol ?? plain ?? null,
    offset: offset === undefined ? null : Number.parseInt(offset, 16),
    module: moduleOf(module),
    line: null,
    guess: false,
  };
}

/**
 * `[kernel.kallsyms]` is the kernel itself. Modules are `[name]`, or the file from which they were loaded.
 */
function moduleOf(file: string): string | null {
  const bare = file.replace(/^\[(.*)\]$/, '$1');
  if (/^(guest\.)?kernel\b|^(unknown|inlined)$|(^|\/)vmlinux/.test(bare)) return null;
  return bare
    .replace(/^.*\//, '')
    .replace(/\.ko(\.[a-z0-9]{1,4})?$/, '')
    .replaceAll('-', '_');
}

/** `task-tid (tgid) [cpu] flags seconds: event: fields` (trace_print_context of kernel/trace/trace_output.c). */
const TRACE_LINE =
  /^ *(?<command>.{0,64})-(?<tid>\d{1,10}) +(?:\([ \d-]{1,10}\) +)?\[(?<cpu>\d{1,5})\] +(?:\S{3,9} +)?(?<seconds>\d{1,12}\.\d{1,9}): (?:kmem:)?(?<event>\w{1,64}|<stack trace>)(?:: (?<fields>.*))?$/;
const TRACE_LOST = /^CPU:\d+ \[LOST (?<count>\d{1,15}) EVENTS\]$/;
const WRITTEN = /^# entries-in-buffer\/entries-written: (?<kept>\d{1,15})\/(?<written>\d{1,15}) /;
/**
 * Maximum number of events that wait for a stack: a stack follows its event closely, but events of other CPUs
 * may be in between.
 */
const MAX_WAITING = 1024;

/** `trace` or `trace_pipe` of tracefs, with `options/stacktrace`. */
export class TraceTextParser implements EventParser {
  strange = 0;
  /** Number of entries according to the headings, and number of entries found. */
  #statedEntries = 0;
  #foundEntries = 0;
  #lost: number | null = null;
  readonly #onEvent: (event: TextEvent) => void;
  readonly #numberOf: FrameNumbers;
  /** Events in the order of the text, including those whose stacks may still follow. */
  readonly #waiting: { readonly event: TextEvent; readonly cpu: string; open: boolean }[] = [];
  /** Frames of the stack that is being read, and its number of lines. */
  #frames: number[] | undefined;
  #lines = 0;

  constructor(onEvent: (event: TextEvent) => void, numberOf: FrameNumbers) {
    this.#onEvent = onEvent;
    this.#numberOf = numberOf;
  }

  get lost(): number | null {
    return this.#lost;
  }

  /** The text does not mark the end of a stack, but the header of `trace` contains the number of entries. */
  get isCut(): boolean {
    return this.#foundEntries < this.#statedEntries;
  }

  line(text: string): void {
    if (text.startsWith(' => ')) {
      if (this.#frames && this.#lines++ < MAX_FRAMES) {
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
      this.#statedEntries += Number(kept);
      this.#count(Number(written) - Number(kept));
      return;
    }
    const lost = TRACE_LOST.exec(text)?.groups?.count;
    if (lost !== undefined) {
      this.#count(Number(lost));
      return;
    }
    this.#foundEntries++;
    const groups = TRACE_LINE.exec(text)?.groups;
    if (!groups) {
      this.strange++;
      return;
    }
    const { event = '', cpu = '', tid, command = '', seconds = '', fields = '' } = groups;
    if (event === '<stack trace>') {
      this.#stackOf(cpu, Number(tid));
      return;
    }
    const parsed = textEvent({ event, fields, seconds, command, tid: Number(tid) });
    if (parsed === undefined) this.strange++;
    if (!parsed) return;
    this.#waiting.push({ event: parsed, cpu, open: !parsed.free });
    this.#flush(MAX_WAITING);
  }

  end(): void {
    this.#flush(0);
  }

  /** An interrupt is printed first, with its stack. */
  #stackOf(cpu: string, tid: number): void {
    const call = this.#waiting.findLast((pending) => pending.open && pending.cpu === cpu && pending.event.tid === tid);
    if (!call) return;
    this.#lines = 0;
    this.#frames = [];
    call.event.stack = this.#frames;
    call.open = false;
    // The lines of this stack follow. Earlier events can be passed on.
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
