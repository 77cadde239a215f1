import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { type StackStop, stopAt } from './stop.js';

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
  /** Why it stopped before its end: in words, and for programs. */
  readonly why?: string;
  readonly stop?: StackStop;
}

/** Deeper than any stack of 16 KiB with 32 bytes a function, interrupts on stacks of their own among it. */
export const MOST_FRAMES = 1024;

/** Where a task's own stack lies. */
export interface StackArea {
  readonly start: bigint;
  readonly end: bigint;
}

/** A task's own stack, and whose it is: the address of its task_struct. */
export interface TaskArea extends StackArea {
  readonly task: bigint;
}

export function isInside({ start, end }: StackArea, address: bigint): boolean {
  return address >= start && address < end;
}

/** A task gives up its CPU on its own stack: what says otherwise is another's. */
export function notItsOwn(pointer: bigint): UnwoundStack {
  return stopped([], stopAt('gave-up-outside', pointer));
}

export function stopped(frames: readonly StackFrame[], stop: StackStop): UnwoundStack {
  return { frames, end: 'stopped', why: stop.why, stop };
}

/** A stack whose memory cannot be read. @throws whatever else it is */
export function stoppedBy(frames: readonly StackFrame[], error: unknown): UnwoundStack {
  const { code, message: why } = expected(error);
  const at = error instanceof ReadError ? { at: error.address } : {};
  return stopped(frames, { code, ...at, why });
}

function expected(error: unknown): KernelError | ReadError {
  if (error instanceof ReadError || error instanceof KernelError) return error;
  throw error;
}
