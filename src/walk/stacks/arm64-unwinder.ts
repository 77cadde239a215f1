import { ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { branchLinkEndsAt, branchTarget } from './call-before.js';
import {
  isInside,
  MOST_FRAMES,
  notItsOwn,
  type StackArea,
  type StackFrame,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import type { CpuRegisters } from './registers.js';
import { stopAt } from './stop.js';
import { TracedReturns } from './traced-returns.js';

/** A record: the caller's record, and where it goes on (struct frame_record). */
const RECORD_BYTES = 16;

/** What a record without either is since 6.14 (enum frame_record_meta_type). */
const META = { final: 1, registers: 2 } as const;

/** Unwinds stacks of arm64 by the chain of frame records that x29 begins (arch/arm64/kernel/stacktrace.c). */
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
    this.#regs = new StructReader(kernel, 'pt_regs', [
      'regs',
      'pc',
      'stackframe',
      'pstate',
    ] as const);
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

  /** The stack of a task that does not run (thread.cpu_context). */
  sleeping(area: TaskArea, context: { readonly pc: bigint; readonly fp: bigint }): UnwoundStack {
    if (!isInside(area, context.fp)) return notItsOwn(context.fp);
    const pc = this.#plain(context.pc);
    // A task that has never run goes on at the start of a function.
    const interrupted = this.#kernel.symbolAt?.(pc)?.offset === 0;
    return this.#unwind(area, [{ address: pc, interrupted, guess: false }], context.fp);
  }

  /** The stack of a task that ran, from its registers. */
  running(area: TaskArea, registers: CpuRegisters): UnwoundStack {
    if (registers.user) return { frames: [], end: 'user' };
    const { pc, get } = registers;
    const frames: StackFrame[] = [{ address: pc, interrupted: true, guess: false }];
    const caller = this.#leafCaller(pc, this.#plain(get('x30')), get('x29'));
    if (caller !== undefined) frames.push({ address: caller, interrupted: false, guess: true });
    return this.#unwind(area, frames, get('x29'));
  }

  /**
   * A function that has no record of its own (yet) returns to where the link register points: into another
   * function than itself, and than the one that the first record names.
   */
  #leafCaller(pc: bigint, link: bigint, record: bigint): bigint | undefined {
    const [own, its] = [this.#nameOf(pc), this.#nameOf(link - 1n)];
    if (its === undefined || own === its) return undefined;
    try {
      const words = readPartOf(this.#kernel, 'the stack', record, record, RECORD_BYTES);
      return this.#plain(words.getBigUint64(8, true)) === link ? undefined : link;
    } catch (error) {
      if (error instanceof ReadError) return link;
      throw error;
    }
  }

  #nameOf(address: bigint): string | undefined {
    return this.#kernel.symbolAt?.(address)?.name;
  }

  #unwind(area: TaskArea, frames: StackFrame[], first: bigint): UnwoundStack {
    const stop = (...why: Parameters<typeof stopAt>) => stopped(frames, stopAt(...why));
    const seen = new Set<bigint>();
    try {
      for (let record = first; ; ) {
        if (seen.has(record)) return stop('comes-back', record);
        seen.add(record);
        if (frames.length > MOST_FRAMES) return stop('endless');
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
          const regs = record - BigInt(this.#regs.offset('stackframe'));
          if (!this.#hasMeta || this.#metaOf(record) === META.final)
            return this.#end(frames, area, regs);
          if (this.#metaOf(record) !== META.registers) return stop('record-unknown', record);
          const address = this.#wordAt(regs + BigInt(this.#regs.offset('pc')));
          frames.push({ address, interrupted: true, guess: false });
          record = this.#wordAt(regs + BigInt(this.#regs.offset('regs') + 29 * 8));
          continue;
        }
        if (address >> 63n === 0n) return stop('returns-to-no-code', address);
        // What was saved when the kernel was interrupted has a record too, for where that was.
        const entered = frames.at(-1)?.address ?? 0n;
        const interrupted = this.#entry !== undefined && isInside(this.#entry, entered - 1n);
        const isFirst = frames.length === 1 && frames[0]?.interrupted === false;
        const doubted =
          this.#isDoubted(address) || (isFirst && this.#callsAnother(address, entered));
        if (!interrupted && this.#isCode(address) && doubted) {
          frames.push({ address, interrupted, guess: true });
          return stop('returns-to-no-call');
        }
        // Programs of BPF are code that has no symbol, and so is what is none.
        frames.push({ address, interrupted, guess: !this.#isCode(address) });
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

  /** Whether something before a return address is no call: then one of both is wrong. */
  #isDoubted(address: bigint): boolean {
    // What called at the start of the kernel may be gone.
    if (this.#init !== undefined && isInside(this.#init, address)) return false;
    return branchLinkEndsAt(this.#kernel, address) === false;
  }

  /** Whether what a task gave up its CPU in (__switch_to) is not what was called there: an older record is left. */
  #callsAnother(address: bigint, pc: bigint): boolean {
    const own = this.#kernel.symbolAt?.(pc);
    const target = branchTarget(this.#kernel, address);
    return own !== undefined && target !== undefined && target !== pc - BigInt(own.offset);
  }

  /** The last record lies with the registers of user space, at the end of the task's own stack. */
  #end(frames: readonly StackFrame[], area: StackArea, regs: bigint): UnwoundStack {
    if (regs + BigInt(this.#regs.size) !== area.end)
      return stopped(frames, stopAt('ends-amid', regs));
    // What user space had in its other registers is nobody's business, and is not read.
    const user = (this.#wordAt(regs + BigInt(this.#regs.offset('pstate'))) & 15n) === 0n;
    const kernelThread = user && this.#wordAt(regs + BigInt(this.#regs.offset('pc'))) === 0n;
    return { frames, end: user && !kernelThread ? 'user' : 'first' };
  }

  #metaOf(record: bigint): number {
    return readPartOf(this.#kernel, 'the stack', record, record + 16n, 8).getUint32(0, true);
  }

  #wordAt(address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the stack', address, address);
  }

  /** Without the signature that pointer authentication puts into a return address. */
  #plain(address: bigint): bigint {
    return address | this.#mask;
  }
}
