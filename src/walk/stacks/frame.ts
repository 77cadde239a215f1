import { hex } from '../../kernel/hex.js';

/** A function that has not returned. */
export interface StackFrame {
  /** Where it goes on, or was interrupted. */
  readonly address: bigint;
  /** It was interrupted there, or runs; otherwise it had called, and `address` lies behind the call. */
  readonly interrupted: boolean;
  /** No table says how to come here, and it was found by the frame pointer or the link register. */
  readonly guess: boolean;
}

/** A stack, the innermost function first. */
export interface UnwoundStack {
  readonly frames: readonly StackFrame[];
  /** Where it ends: at what user space was doing, or with the first function of a kernel thread. */
  readonly end: 'user' | 'first' | 'stopped';
  /** Why it stopped before its end. */
  readonly why?: string;
}

/** Deeper than any stack of 16 KiB with 32 bytes a function, interrupts on stacks of their own among it. */
export const MOST_FRAMES = 1024;

/** Why a stack is not followed any further: the return address contradicts the code. */
export const NO_CALL = 'it is to return to where no call ends';

/** Where a task's own stack lies. */
export interface StackArea {
  readonly start: bigint;
  readonly end: bigint;
}

/** A task's own stack, and whose it is: the address of its task_struct. */
export interface TaskArea extends StackArea {
  readonly task: bigint;
}

/** Why a stack is not followed any further. */
export const TRACED = 'a tracer has taken its return address, and there is no note of it';

export function isInside({ start, end }: StackArea, address: bigint): boolean {
  return address >= start && address < end;
}

/** A task gives up its CPU on its own stack: what says otherwise is another's. */
export function notItsOwn(pointer: bigint): UnwoundStack {
  const why = `it gave up its CPU outside of its stack, at ${hex(pointer)}`;
  return { frames: [], end: 'stopped', why };
}
