import { readOrNot } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import {
  isInside,
  MAX_FRAMES,
  outsideOwnStack,
  type StackArea,
  type StackFrame,
  stopAt,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import type { CpuRegisters } from './registers.js';
import { branchLinkEndsAt, branchTarget, TracedReturns } from './traced-returns.js';

/** A frame record: the caller's record, and the return address (struct frame_record). */
const RECORD_BYTES = 16;

/** Types of metadata records since 6.14 (enum frame_record_meta_type). */
const META = { final: 1, registers: 2 } as const;

/** Unwinds arm64 stacks by the chain of frame records that starts at x29 (arch/arm64/kernel/stacktrace.c). */
export class Arm64Unwinder {
  readonly #kernel: Kernel;
  readonly #regs;
  readonly #mask: bigint;
  readonly #hasMeta: boolean;
  readonly #entry: StackArea | undefined;
  readonly #text: StackArea | undefined;
  readonly #init: StackArea | undefined;
  readonly #returns: TracedReturns;

  /** @throws {KernelError} where the kernel has other structs */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#regs = new StructReader(kernel, 'pt_regs', ['regs', 'pc', 'stackframe', 'pstate'] as const);
    this.#mask = kernel.facts.signatureMask ?? 0n;
    this.#returns = new TracedReturns(kernel);
    this.#hasMeta = kernel.struct('frame_record_meta') !== undefined;
    const area = (from: string, to: string): StackArea | undefined => {
      const [start, end] = [kernel.symbol(from), kernel.symbol(to)];
      return start === undefined || end === undefined ? undefined : { start, end };
    };
    this.#entry = area('__entry_text_start', '__entry_text_end');
    this.#text = area('_stext', '_etext');
    this.#init = area('_sinittext', '_einittext');
  }

  /** Returns the stack of a task that is not running (thread.cpu_context). */
  sleeping(area: TaskArea, context: { readonly pc: bigint; readonly fp: bigint }): UnwoundStack {
    if (!isInside(area, context.fp)) return outsideOwnStack(context.fp);
    const pc = this.#plain(context.pc);
    // A task that has never run starts at the beginning of a function.
    const interrupted = this.#kernel.symbolAt?.(pc)?.offset === 0;
    return this.#unwind(area, [{ address: pc, interrupted, guess: false }], context.fp);
  }

  /** Returns the stack of a running task, from its registers. */
  running(area: TaskArea, registers: CpuRegisters): UnwoundStack {
    if (registers.user) return { frames: [], end: 'user' };
    const { pc, get } = registers;
    return this.#unwind(area, this.#interrupted(pc, get('x30'), get('x29')), get('x29'));
  }

  /**
   * Returns the frame of an interrupted function, and that of its caller if it has no frame record (yet): the link
   * register differs from the function itself and from the return address in the first record. It is a guess unless it
   * is behind a call of that function.
   */
  #interrupted(pc: bigint, linked: bigint, record: bigint): StackFrame[] {
    const frames: StackFrame[] = [{ address: pc, interrupted: true, guess: false }];
    const link = this.#plain(linked);
    const [own, its] = [pc, link - 1n].map((address) => this.#kernel.symbolAt?.(address)?.name);
    if (its === undefined || own === its) return frames;
    const words = readOrNot(() => readPartOf(this.#kernel, 'the stack', record, record, RECORD_BYTES));
    if (words && this.#plain(words.getBigUint64(8, true)) === link) return frames;
    const isCall = branchTarget(this.#kernel, link) !== undefined && !this.#callsAnother(link, pc);
    frames.push({ address: link, interrupted: false, guess: !isCall });
    return frames;
  }

  #unwind(area: TaskArea, frames: StackFrame[], first: bigint): UnwoundStack {
    const stop = (...why: Parameters<typeof stopAt>) => stopped(frames, stopAt(...why));
    const seen = new Set<bigint>();
    try {
      for (let record = first; ; ) {
        if (seen.has(record)) return stop('comes-back', record);
        seen.add(record);
        if (frames.length > MAX_FRAMES) return stop('endless');
        if ((record & 7n) !== 0n) return stop('pointer-off', record);
        const words = readPartOf(this.#kernel, 'the stack', record, record, RECORD_BYTES);
        const next = words.getBigUint64(0, true);
        let address = this.#plain(words.getBigUint64(8, true));
        if (this.#returns.isTrampoline(address)) {
          const real = this.#returns.original(area.task, next);
          if (real === undefined) return stop('return-traced');
          address = this.#plain(real);
        }
        if (next === 0n && words.getBigUint64(8, true) === 0n) {
          const regs = this.#regs.containerOf(record, 'stackframe');
          if (!this.#hasMeta || this.#metaOf(record) === META.final) return this.#end(frames, area, regs);
          if (this.#metaOf(record) !== META.registers) return stop('record-unknown', record);
          const address = this.#wordAt(this.#regs.addressOf(regs, 'pc'));
          record = this.#savedWord(regs, 29);
          frames.push(...this.#interrupted(address, this.#savedWord(regs, 30), record));
          continue;
        }
        if (address >> 63n === 0n) return stop('returns-to-no-code', address);
        // State saved when the kernel was interrupted has a record for the interrupted address, too.
        const entered = frames.at(-1)?.address ?? 0n;
        const interrupted = this.#entry !== undefined && isInside(this.#entry, entered - 1n);
        const isFirst = frames.length === 1 && frames[0]?.interrupted === false;
        const doubted = this.#isDoubted(address) || (isFirst && this.#callsAnother(address, entered));
        if (!interrupted && this.#isCode(address) && doubted) {
          frames.push({ address, interrupted, guess: true });
          return stop('returns-to-no-call');
        }
        // BPF programs are code without a symbol, and so is anything that is no code.
        if (interrupted && this.#isCode(address)) {
          const regs = this.#regs.containerOf(record, 'stackframe');
          frames.push(...this.#interrupted(address, this.#savedWord(regs, 30), next));
        } else frames.push({ address, interrupted, guess: !this.#isCode(address) });
        record = next;
      }
    } catch (error) {
      return stoppedBy(frames, error);
    }
  }

  #isCode(address: bigint): boolean {
    const own = [this.#text, this.#init].some((area) => area && isInside(area, address));
    return own || this.#kernel.symbolAt?.(address)?.module !== undefined;
  }

  /** Whether the code before a return address is not a call, so that the address or the code is wrong. */
  #isDoubted(address: bigint): boolean {
    // Init code may have been freed.
    if (this.#init !== undefined && isInside(this.#init, address)) return false;
    return branchLinkEndsAt(this.#kernel, address) === false;
  }

  /** Whether the task's switch-out function (__switch_to) was not called there: an older record remains. */
  #callsAnother(address: bigint, pc: bigint): boolean {
    const own = this.#kernel.symbolAt?.(pc);
    const target = branchTarget(this.#kernel, address);
    return own !== undefined && target !== undefined && target !== pc - BigInt(own.offset);
  }

  /** The last record is with the registers of user space, at the end of the task's own stack. */
  #end(frames: readonly StackFrame[], area: StackArea, regs: bigint): UnwoundStack {
    if (regs + BigInt(this.#regs.size) !== area.end) return stopped(frames, stopAt('ends-amid', regs));
    // Other user-space registers are private and are not read.
    const user = (this.#wordAt(this.#regs.addressOf(regs, 'pstate')) & 15n) === 0n;
    const kernelThread = user && this.#wordAt(this.#regs.addressOf(regs, 'pc')) === 0n;
    return { frames, end: user && !kernelThread ? 'user' : 'first' };
  }

  #metaOf(record: bigint): number {
    return readPartOf(this.#kernel, 'the stack', record, record + 16n, 8).getUint32(0, true);
  }

  /** A register in pt_regs. */
  #savedWord(regs: bigint, index: number): bigint {
    return this.#wordAt(regs + BigInt(this.#regs.offset('regs') + index * 8));
  }

  #wordAt(address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the stack', address, address);
  }

  /** Removes the pointer authentication code from a return address. */
  #plain(address: bigint): bigint {
    return address | this.#mask;
  }
}
