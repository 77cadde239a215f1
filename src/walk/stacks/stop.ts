import type { KernelErrorCode, ReadErrorCode } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';

/** Why a stack is not followed to its end, besides memory that cannot be read. */
export const STACK_STOP_CODES = [
  'comes-back',
  'endless',
  'returns-to-nothing',
  'returns-to-no-code',
  'returns-to-no-call',
  'return-traced',
  'no-table',
  'table-ends',
  'register-unknown',
  'pointer-off',
  'record-unknown',
  'registers-amid',
  'ends-amid',
  'gave-up-outside',
  'no-registers',
  'scanned',
] as const;
type OwnCode = (typeof STACK_STOP_CODES)[number];
export type StackStopCode = OwnCode | KernelErrorCode | ReadErrorCode;

/** Of the place that a code is about, where it has one. */
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
  'pointer-off': (at) => `the next stack pointer ${at} is misaligned`,
  'record-unknown': (at) => `unsupported unwind record at ${at}`,
  'registers-amid': (at) => `user registers in the middle of the stack, at ${at}`,
  'ends-amid': (at) => `the trace ends in the middle of the stack, at ${at}`,
  'gave-up-outside': (at) => `the saved stack pointer ${at} is outside the stack`,
  'no-registers': () => 'the registers of its CPU were not saved',
  scanned: () => 'no unwind tables: return addresses are guesses from a stack scan',
};

/** Why a stack stops: the code of it, the place that it is about, and both in words. */
export interface StackStop {
  readonly code: StackStopCode;
  readonly at?: bigint;
  readonly why: string;
}

export function stopAt(code: OwnCode, at?: bigint): StackStop {
  return { code, ...(at === undefined ? {} : { at }), why: WORDS[code](hex(at ?? 0n)) };
}
