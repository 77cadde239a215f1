import { KernelError, type KernelErrorCode, ReadError, type ReadErrorCode } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { STACK_STOP_CODES } from '../../records/stacks.js';

/** A function that has not returned yet. */
export interface StackFrame {
  /** Return address, or interrupted address. */
  readonly address: bigint;
  /** Interrupted or running there; otherwise `address` is behind a call. */
  readonly interrupted: boolean;
  /** No unwind table covers it: it was found by the frame pointer or the link register. */
  readonly guess: boolean;
}

/** A stack trace, innermost function first. */
export interface UnwoundStack {
  readonly frames: readonly StackFrame[];
  /**
   * Where the stack ends: at the entry from user space, or at the first function of a kernel thread; or
   * unwinding stopped.
   */
  readonly end: 'user' | 'first' | 'stopped';
  /** Why it stopped early: in words, and for programs. */
  readonly why?: string;
  readonly stop?: StackStop;
}

/**
 * Maximum number of frames: more than fit in a stack of 16 KiB with 32 bytes per function, plus interrupt
 * stacks.
 */
export const MAX_FRAMES = 1024;

/** Address range of a task's own stack. */
export interface StackArea {
  readonly start: bigint;
  readonly end: bigint;
}

/** A task's own stack, with the address of its task_struct. */
export interface TaskArea extends StackArea {
  readonly task: bigint;
}

export function isInside({ start, end }: StackArea, address: bigint): boolean {
  return address >= start && address < end;
}

/** Returns the result for a saved stack pointer outside the task's own stack, which is therefore invalid. */
export function outsideOwnStack(pointer: bigint): UnwoundStack {
  return stopped([], stopAt('gave-up-outside', pointer));
}

export function stopped(frames: readonly StackFrame[], stop: StackStop): UnwoundStack {
  return { frames, end: 'stopped', why: stop.why, stop };
}

/** A stack that ends at unreadable memory. @throws any other error */
export function stoppedBy(frames: readonly StackFrame[], error: unknown): UnwoundStack {
  const { code, message: why } = expected(error);
  const at = error instanceof ReadError ? { at: error.address } : {};
  return stopped(frames, { code, ...at, why });
}

function expected(error: unknown): KernelError | ReadError {
  if (error instanceof ReadError || error instanceof KernelError) return error;
  throw error;
}

type OwnCode = (typeof STACK_STOP_CODES)[number];
export type StackStopCode = OwnCode | KernelErrorCode | ReadErrorCode;

/** Words for a code, with its address if it has one. */
const WORDS: Record<OwnCode, (at: string) => string> = {
  'comes-back': (at) => `the trace loops back to ${at}`,
  endless: () => 'the trace does not terminate',
  'returns-to-nothing': () => 'the return address is 0',
  'returns-to-no-code': (at) => `the return address ${at} is not code`,
  'returns-to-no-call': () => 'the return address does not follow a call instruction',
  'return-traced': () => 'a tracer replaced the return address, and the original was not found',
  'no-table': (at) => `no unwind table covers ${at}`,
  'table-ends': (at) => `the unwind table ends at ${at}`,
  'register-unknown': (at) => `a register that the unwind table requires is unknown at ${at}`,
  'pointer-off': (at) => `the next stack pointer ${at} is misaligned, or not above the one before in the stack`,
  'record-unknown': (at) => `unsupported unwind record at ${at}`,
  'registers-amid': (at) => `user registers in the middle of the stack, at ${at}`,
  'ends-amid': (at) => `the trace ends in the middle of the stack, at ${at}`,
  'gave-up-outside': (at) => `the saved stack pointer ${at} is outside the stack`,
  'no-registers': () => 'the registers of its CPU were not saved',
  scanned: () => 'no unwind tables: return addresses are guesses from a stack scan',
};

/** Reason why unwinding stopped: a code, the related address, and a message. */
export interface StackStop {
  readonly code: StackStopCode;
  readonly at?: bigint;
  readonly why: string;
}

export function stopAt(code: OwnCode, at?: bigint): StackStop {
  return { code, ...(at === undefined ? {} : { at }), why: WORDS[code](hex(at ?? 0n)) };
}
