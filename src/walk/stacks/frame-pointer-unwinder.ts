import { KernelError, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import {
  isInside,
  MAX_FRAMES,
  outsideOwnStack,
  type StackFrame,
  stopAt,
  stopped,
  stoppedBy,
  type TaskArea,
  type UnwoundStack,
} from './frame.js';
import type { CpuRegisters } from './registers.js';
import { callEndsAt, checkSwitch, farReturnEndsAt, TracedReturns } from './traced-returns.js';

/** Lowest bit of a frame pointer that is set if it points to saved registers (ENCODE_FRAME_POINTER). */
const IS_REGISTERS = 1n;

/** Start of an unwind. */
interface Start {
  readonly first: StackFrame;
  readonly sp: bigint;
  readonly bp: bigint;
}

/**
 * Unwinds stacks of x86_64 kernels without ORC tables: by frame pointers, like unwind_next_frame
 * (unwind_frame.c), or if these do not reach the end of the stack, by a scan for return addresses
 * (unwind_guess.c).
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

  /** Returns the stack of a task that is not running, from its saved stack pointer (`thread.sp`). */
  sleeping(area: TaskArea, pointer: bigint): UnwoundStack {
    if (!isInside(area, pointer) || (pointer & 7n) !== 0n) return outsideOwnStack(pointer);
    return this.#unwind(area, () => {
      const view = this.#frame.read(pointer);
      const address = view.pointer('ret_addr');
      checkSwitch(this.#kernel, address);
      // A task that has never run starts at the beginning of a function.
      const interrupted = this.#kernel.symbolAt?.(address)?.offset === 0;
      const first = { address, interrupted, guess: false };
      return { first, sp: pointer + BigInt(this.#frame.size), bp: view.pointer('bp') };
    });
  }

  /** Returns the stack of a running task, from its registers. */
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

  /** Unwinds by frame pointers; undefined if they do not reach the end of the task's own stack. */
  #byFramePointers(area: TaskArea, { first, bp }: Start): UnwoundStack | undefined {
    const frames = [first];
    const seen = new Set<bigint>();
    try {
      for (let at = bp; frames.length <= MAX_FRAMES; ) {
        // Entries from user space store the address of the saved registers.
        if ((at & ~IS_REGISTERS) === this.#registersOf(area)) return { frames, end: this.#lastOf(area) };
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
      // The register may contain anything in functions that use it otherwise.
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
    }
    return undefined;
  }

  /** The last frame, behind which only the registers of user space follow (is_last_task_frame). */
  #isLastFrame(area: TaskArea, bp: bigint): boolean {
    const room = this.#registersOf(area) - bp;
    return room === 16n || room === 24n;
  }

  /** Registers of user space are at the very end of a task's stack (task_pt_regs). */
  #registersOf({ end }: TaskArea): bigint {
    return end - BigInt(this.#regs.size);
  }

  #lastOf(area: TaskArea): 'user' | 'first' {
    // In a kernel thread, this field is zero.
    const at = this.#registersOf(area) + BigInt(this.#regs.offset('cs'));
    return (this.#word(at) & 3n) === 0n ? 'first' : 'user';
  }

  #byScan(area: TaskArea, { sp }: Start, frames: StackFrame[]): UnwoundStack {
    // The end of an interrupt stack is unknown.
    if (!isInside(area, sp)) return stopped(frames, stopAt('no-table', frames[0]?.address));
    const end = this.#registersOf(area);
    for (let at = (sp + 7n) & ~7n; at < end && frames.length < MAX_FRAMES; at += 8n) {
      const address = this.#returnAt(at, area);
      if (address !== undefined && this.#isReturn(address)) frames.push({ address, interrupted: false, guess: true });
    }
    return stopped(frames, stopAt('scanned'));
  }

  /** @param last whether this is the last frame: a CPU reaches its first function by a far return */
  #isReturn(address: bigint, last = false): boolean {
    if (address >> 63n === 0n || !this.#kernel.symbolAt?.(address - 1n)) return false;
    if (last && farReturnEndsAt(this.#kernel, address)) return true;
    return callEndsAt(this.#kernel, address) === true;
  }

  /**
   * Returns the return address at a stack location; undefined: a tracer replaced it, and the original is
   * unknown.
   */
  #returnAt(place: bigint, { task }: TaskArea): bigint | undefined {
    const address = this.#word(place);
    return this.#returns.isTrampoline(address) ? this.#returns.original(task, place) : address;
  }

  #word(address: bigint): bigint {
    return pointerPartOf(this.#kernel, 'the stack', address, address);
  }
}
