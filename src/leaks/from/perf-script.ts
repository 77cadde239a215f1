import { NO_FRAME } from '../readings/known-frames.js';
import type { SiteFrame } from '../recording.js';
import { type EventParser, type FrameNumbers, type TextEvent, textEvent } from './text-event.js';

/** `command pid/tid [cpu] flags seconds: period event: fields` (perf_sample__fprintf_start of builtin-script.c). */
const LINE =
  /^ *(?<command>\S.{0,64}?) +(?:\d{1,10}\/)?(?<tid>\d{1,10}) +(?:\[\d{1,5}\] +)?(?:\S{3,9} +)?(?<seconds>\d{1,12}\.\d{1,9}): +(?:\d{1,15} +)?(?:[a-z]{1,20}:)?(?<event>\w{1,64}): *(?<fields>.*)$/;
const LOST = /PERF_RECORD_LOST(?:_SAMPLES)? lost (?<count>\d{1,15})$/;
/** Addresses of the kernel have their upper bits set; its symbols have no spaces. */
const KERNEL_FRAME =
  /^\t *ff[0-9a-f]{14} (?:(?<symbol>\S{1,512})\+0x(?<offset>[0-9a-f]{1,8})|\[unknown\]|(?<plain>\S{1,512})) \((?<module>[^()]{1,4096})\)$/;
const MOST_FRAMES = 128;

/** `perf script` of kmem:* with call chains, in its usual form. */
export class PerfScriptParser implements EventParser {
  strange = 0;
  isCut = false;
  /** Only `--show-lost-events` prints them. */
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
      if (!open || open.lines++ >= MOST_FRAMES) return;
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
    const found = LINE.exec(text)?.groups;
    if (!found) {
      this.strange++;
      return;
    }
    const { command = '', tid, seconds = '', event = '', fields = '' } = found;
    const told = textEvent({ event, fields, seconds, command, tid: Number(tid) });
    if (told === undefined) this.strange++;
    if (told) this.#open = { event: told, stack: [], lines: 0 };
  }

  /** Behind a call chain stands an empty line. */
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

/** Null: behind the kernel's functions stand those of the process that called it. */
function kernelFrame(line: string): SiteFrame | null {
  const found = KERNEL_FRAME.exec(line)?.groups;
  if (!found) return null;
  const { symbol, plain, offset, module = '' } = found;
  return {
    symbol: symbol ?? plain ?? null,
    offset: offset === undefined ? null : Number.parseInt(offset, 16),
    module: moduleOf(module),
    line: null,
  };
}

/** `[kernel.kallsyms]` is the kernel itself; modules are `[name]`, or the file that they were loaded from. */
function moduleOf(file: string): string | null {
  const bare = file.replace(/^\[(.*)\]$/, '$1');
  if (/^(guest\.)?kernel\b|^(unknown|inlined)$|(^|\/)vmlinux/.test(bare)) return null;
  return bare
    .replace(/^.*\//, '')
    .replace(/\.ko(\.[a-z0-9]{1,4})?$/, '')
    .replaceAll('-', '_');
}
