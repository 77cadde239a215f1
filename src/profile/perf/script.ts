import { statSync } from 'node:fs';
import { TraceError } from '../../base/errors.js';
import type { Frame } from '../../contracts/stacks.js';
import { LineCutter } from '../../host/lines.js';
import { CappedText, startPerf } from './run.js';

/** Data of a recording that could not be used. */
export interface Losses {
  /** Records of any kind that the kernel dropped, according to perf. */
  readonly lost: number;
  /** Lines of `perf script` in an unknown format. */
  readonly unparsed: number;
}

/**
 * Reads a recording through `perf script`, which unwinds stacks and resolves symbols. Without inlined
 * functions, which take perf a thousand times as long.
 *
 * @param stop kills it
 * @throws {TraceError} `perf-failed`
 */
export async function readRecording(
  file: string,
  names: EventNames,
  onSample: (sample: Sample) => void,
  stop: AbortSignal,
): Promise<Losses> {
  if (statSync(file, { throwIfNoEntry: false }) === undefined)
    throw new TraceError('perf-failed', 'perf record: no output file');
  const parser = new ScriptParser(names, onSample);
  const perf = startPerf(
    ['script', '--input', file, '--no-inline', '--show-lost-events', '--fields', SCRIPT_FIELDS, '--force'],
    { stop },
  );
  const words = new CappedText(perf.stderr);
  const cutter = new LineCutter((bytes, from, to) => parser.line(bytes.toString('utf8', from, to)));
  perf.stdout?.on('data', (bytes: Buffer) => cutter.push(bytes));
  const { failed } = await perf.ended;
  cutter.end();
  parser.end();
  if (failed) throw new TraceError('perf-failed', `perf script: ${words.reason}`);
  const lost = Math.max(parser.lostRecords, parser.lostSamples);
  return { lost, unparsed: parser.strange + cutter.overlong };
}

/** perf itself stops at kernel.perf_event_max_stack, by default 127. */
const MAX_FRAMES = 1024;

/** MAP_ANONYMOUS (include/uapi/asm-generic/mman-common.h; the same on x86 and arm64). */
const MAP_ANONYMOUS = 0x20n;

/**
 * Parses the output of `perf script -F {@link SCRIPT_FIELDS}` line by line (tools/perf/builtin-script.c).
 *
 * Names of files and symbols are unescaped, and may contain newlines. A process with such names can only
 * corrupt its own stacks; lines in an unknown format are counted, and so are fault records, which are
 * compared with the kernel's own count.
 */
export class ScriptParser {
  /** Records that the kernel dropped, according to perf. */
  lostRecords = 0;
  lostSamples = 0;
  /** Lines in an unknown format. */
  strange = 0;
  readonly #names: EventNames;
  readonly #onSample: (sample: Sample) => void;
  #open: { readonly head: Head; readonly frames: Frame[]; pageBytes: number | null } | undefined;

  constructor(names: EventNames, onSample: (sample: Sample) => void) {
    this.#names = names;
    this.#onSample = onSample;
  }

  line(text: string): void {
    if (text === '') {
      this.end();
      return;
    }
    const frame = endsInFile(text) ? FRAME.exec(text)?.groups : undefined;
    if (frame && this.#open) {
      if (this.#open.frames.length < MAX_FRAMES) this.#open.frames.push(frameOf(frame));
      return;
    }
    const size = PAGE_SIZE.exec(text);
    if (size && this.#open) {
      this.#open.pageBytes = pageBytesOf(size[1] ?? '');
      return;
    }
    const lost = LOST.exec(text)?.groups;
    if (lost) {
      if (lost.samples === undefined) this.lostRecords += Number(lost.count);
      else this.lostSamples += Number(lost.count);
      return;
    }
    const head = this.#head(text);
    if (!head) {
      this.strange++;
      return;
    }
    this.end();
    this.#open = { head, frames: [], pageBytes: null };
  }

  /** Ends the input: the last record is complete. */
  end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    const { pid, tid, what } = open.head;
    this.#onSample({
      pid,
      tid,
      what: what.type === 'fault' ? { ...what, pageBytes: open.pageBytes } : what,
      frames: open.frames,
    });
  }

  #head(text: string): Head | undefined {
    const groups = HEAD.exec(text)?.groups;
    if (!groups) return undefined;
    const { event = '', rest = '' } = groups;
    const what = this.#fault(event, rest) ?? spaceCall(event, rest);
    return what && { pid: Number(groups.pid), tid: Number(groups.tid), what };
  }

  #fault(event: string, rest: string): Fault | undefined {
    const { minor, major } = this.#names;
    if (event !== minor && event !== major) return undefined;
    if (!endsInFile(rest)) return undefined;
    const mapping = FAULT.exec(rest)?.[1];
    if (mapping === undefined) return undefined;
    return { type: 'fault', major: event === major, mapping, pageBytes: null };
  }
}

/** Fields that {@link ScriptParser} parses. */
const SCRIPT_FIELDS = 'pid,tid,event,addr,data_page_size,ip,sym,symoff,dso,trace';

interface Head {
  readonly pid: number;
  readonly tid: number;
  readonly what: Fault | SpaceCall;
}

const HEAD = /^ *(?<pid>-?\d{1,10})\/(?<tid>-?\d{1,10}) +(?<event>[\w:-]{1,80}?)(?::[uk]{1,2})?: +(?<rest>.*)$/s;
/**
 * Symbols and files can contain parentheses, such as ` (deleted)`: they are separated by an offset, or
 * there is no symbol.
 */
const FRAME =
  /^\t *(?<ip>[0-9a-f]{1,16}) (?:(?<symbol>.*?)\+(?<offset>0x[0-9a-f]{1,16})|\[unknown\]|(?<plain>.*)) \((?<module>.*)\)$/s;
const FAULT = /^[0-9a-f]{1,16} (?:.*?\+0x[0-9a-f]{1,16}|\[unknown\]) \((.*)\)$/s;
const PAGE_SIZE = /^ (\d{1,4}[KMG]|N\/A)$/;
const LOST = /^ *-?\d+\/-?\d+ +PERF_RECORD_LOST(?<samples>_SAMPLES)? lost (?<count>\d{1,15})$/;

/** Prevents backtracking: on other lines, each ` (` of a hostile symbol would be tried to the line's end. */
function endsInFile(text: string): boolean {
  return text.endsWith(')');
}

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function pageBytesOf(text: string): number | null {
  const unit = UNITS[text.slice(-1)];
  return unit === undefined ? null : Number(text.slice(0, -1)) * unit;
}

function frameOf({ ip = '', symbol, plain, offset, module = '' }: Readonly<Record<string, string | undefined>>): Frame {
  const name = symbol ?? plain;
  if (name === undefined) return { symbol: null, module, offset: `0x${ip}`, guess: false };
  return { symbol: name, module, offset: offset ?? null, guess: false };
}

function spaceCall(event: string, rest: string): SpaceCall | undefined {
  if (event === 'syscalls:sys_enter_brk') {
    const end = /^brk: (0x[0-9a-f]{1,16})/.exec(rest)?.[1];
    return end === undefined ? undefined : { type: 'brk', value: BigInt(end), anonymous: true };
  }
  if (event !== 'syscalls:sys_enter_mmap') return undefined;
  const { length, flags } =
    /\blen: (?<length>0x[0-9a-f]{1,16}),.* flags: (?<flags>0x[0-9a-f]{1,16}),/.exec(rest)?.groups ?? {};
  if (length === undefined || flags === undefined) return undefined;
  const anonymous = (BigInt(flags) & MAP_ANONYMOUS) !== 0n;
  return { type: 'mmap', value: BigInt(length), anonymous };
}

/** A page fault: the mapping as perf names it, and the page mapped afterwards. */
interface Fault {
  readonly type: 'fault';
  /** Major: it waited for a disk (swap, a file). */
  readonly major: boolean;
  readonly mapping: string;
  /** Size of the page mapped afterwards, bytes; null: the kernel does not report it. */
  readonly pageBytes: number | null;
}

/** A call that requests address space. */
interface SpaceCall {
  readonly type: 'mmap' | 'brk';
  /** mmap: length, bytes. brk: requested end of the heap, an address. */
  readonly value: bigint;
  /** mmap: MAP_ANONYMOUS. */
  readonly anonymous: boolean;
}

/** One record of perf.data, with its stack. */
export interface Sample {
  readonly pid: number;
  readonly tid: number;
  readonly what: Fault | SpaceCall;
  /** Innermost first. */
  readonly frames: readonly Frame[];
}

/** Names of the two fault events, random for each recording, so that they cannot be forged in advance. */
export interface EventNames {
  readonly minor: string;
  readonly major: string;
}
