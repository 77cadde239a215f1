import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { callEndsAt, farReturnEndsAt } from './call-before.js';
import {
  isInside,
  MOST_FRAMES,
  notItsOwn,
  type StackFrame,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import type { CpuRegisters } from './registers.js';
import { stopAt } from './stop.js';
import { TracedReturns } from './traced-returns.js';

/** The lowest bit of a frame pointer that is the address of registers (ENCODE_FRAME_POINTER). */
const IS_REGISTERS = 1n;

/** Where a stack begins. */
interface Start {
  readonly first: StackFrame;
  readonly sp: bigint;
  readonly bp: bigint;
}

/**
 * Unwinds stacks of x86_64 where the kernel has no ORC tables: by frame pointers, as unwind_next_frame
 * does (unwind_frame.c), and where these do not lead to the stack's very end, by a scan for whatever
 * looks like a return address (unwind_guess.c).
 */
export class FramePointerUnwinder {
  readonly #kernel: Kernel;
  readonly #regs;
  readonly #frame;
  readonly #returns: TracedReturns;

  /** @throws {KernelError} where the kernel has other structs */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#regs = new StructReader(kernel, 'pt_regs', ['ip', 'cs', 'bp']);
    this.#frame = new StructReader(kernel, 'inactive_task_frame', ['bp', 'ret_addr']);
    this.#returns = new TracedReturns(kernel);
  }

  /** The stack of a task that does not run, from where it gave up its CPU (`thread.sp`). */
  sleeping(area: TaskArea, pointer: bigint): UnwoundStack {
    if (!isInside(area, pointer) || (pointer & 7n) !== 0n) return notItsOwn(pointer);
    return this.#unwind(area, () => {
      const view = this.#frame.read(pointer);
      const address = view.pointer('ret_addr');
      // A task that has never run goes on at the start of a function.
      const interrupted = this.#kernel.symbolAt?.(address)?.offset === 0;
      const first = { address, interrupted, guess: false };
      return { first, sp: pointer + BigInt(this.#frame.size), bp: view.pointer('bp') };
    });
  }

  /** The stack of a task that ran, from its registers. */
  running(area: TaskArea, registers: CpuRegisters): UnwoundStack {
    if (registers.user) return { frames: [], end: 'user' };
    return this.#unwind(area, () => {
      const first = { address: registers.pc, interrupted: true, guess: false };
      return { first, sp: registers.sp, bp: registers.get('bp') };
    });
  }

  #unwind(area: TaskArea, begin: () => Start): UnwoundStack {
    const frames: StackFrame[] = [];
    try {
      const start = begin();
      frames.push(start.first);
      return this.#byFramePointers(area, start) ?? this.#byScan(area, start, frames);
    } catch (error) {
      return stoppedBy(frames, error);
    }
  }

  /** Undefined where they do not lead to the end of the task's own stack. */
  #byFramePointers(area: TaskArea, { first, bp }: Start): UnwoundStack | undefined {
    const frames = [first];
    const seen = new Set<bigint>();
    try {
      for (let at = bp; frames.length <= MOST_FRAMES; ) {
        // Entries from user space leave the address of the registers that they save.
        if ((at & ~IS_REGISTERS) === this.#registersOf(area))
          return { frames, end: this.#lastOf(area) };
        if (seen.has(at)) return undefined;
        seen.add(at);
        if ((at & IS_REGISTERS) !== 0n) {
          const view = this.#regs.read(at & ~IS_REGISTERS);
          if ((view.number('cs') & 3) !== 0) return undefined;
          frames.push({ address: view.pointer('ip'), interrupted: true, guess: false });
          at = view.pointer('bp');
          continue;
        }
        if ((at & 7n) !== 0n || at >> 63n === 0n) return undefined;
        const address = this.#returnAt(at + 8n, area);
        const last = this.#isLastFrame(area, at);
        if (address === undefined || !this.#isReturn(address, last)) return undefined;
        frames.push({ address, interrupted: false, guess: false });
        if (last) return { frames, end: this.#lastOf(area) };
        const next = this.#word(at);
        if (isInside(area, at) && isInside(area, next) && next <= at) return undefined;
        at = next;
      }
    } catch (error) {
      // Chance leads anywhere, where functions use the register for something else.
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    }
    return undefined;
  }

  /** The frame behind which nothing but the registers of user space lies (is_last_task_frame). */
  #isLastFrame(area: TaskArea, bp: bigint): boolean {
    const room = this.#registersOf(area) - bp;
    return room === 16n || room === 24n;
  }

  /** Registers of user space lie at the very end of a task's stack (task_pt_regs). */
  #registersOf({ end }: TaskArea): bigint {
    return end - BigInt(this.#regs.size);
  }

  #lastOf(area: TaskArea): 'user' | 'first' {
    // A kernel thread has zeros there.
    const at = this.#registersOf(area) + BigInt(this.#regs.offset('cs'));
    return (this.#word(at) & 3n) === 0n ? 'first' : 'user';
  }

  #byScan(area: TaskArea, { sp }: Start, frames: StackFrame[]): UnwoundStack {
    // On a stack of interrupts nothing tells where it ends.
    if (!isInside(area, sp)) return stopped(frames, stopAt('no-table', frames[0]?.address));
    const end = this.#registersOf(area);
    for (let at = (sp + 7n) & ~7n; at < end && frames.length < MOST_FRAMES; at += 8n) {
      const address = this.#returnAt(at, area);
      if (address !== undefined && this.#isReturn(address))
        frames.push({ address, interrupted: false, guess: true });
    }
    return stopped(frames, stopAt('scanned'));
  }

  /** @param last a CPU comes to its first function by a far return */
  #isReturn(address: bigint, last = false): boolean {
    if (address >> 63n === 0n || !this.#kernel.symbolAt?.(address - 1n)) return false;
    if (last && farReturnEndsAt(this.#kernel, address)) return true;
    return callEndsAt(this.#kernel, address) === true;
  }

  /** The return address at a place of the stack; undefined: it is with a tracer that noted none. */
  #returnAt(place: bigint, { task }: TaskArea): bigint | undefined {
    const address = this.#word(place);
    return this.#returns.isTrampoline(address) ? this.#returns.original(task, place) : address;
  }

  #word(address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the stack', address, address);
  }
}
