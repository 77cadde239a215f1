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
  'comes-back': (at) => `it comes back to ${at}`,
  endless: () => 'it does not end',
  'returns-to-nothing': () => 'it is to return to 0',
  'returns-to-no-code': (at) => `it is to return to ${at}, which is no code`,
  'returns-to-no-call': () => 'it is to return to where no call ends',
  'return-traced': () => 'a tracer has taken its return address, and there is no note of it',
  'no-table': (at) => `no table has ${at}`,
  'table-ends': (at) => `the table does not tell on at ${at}`,
  'register-unknown': (at) => `a register that the table names is not known at ${at}`,
  'pointer-off': (at) => `it would go on at ${at}, amid a word`,
  'record-unknown': (at) => `a record of no kind that is known, at ${at}`,
  'registers-amid': (at) => `registers of user space lie amid the stack, at ${at}`,
  'ends-amid': (at) => `it would end amid the stack, at ${at}`,
  'gave-up-outside': (at) => `it gave up its CPU outside of its stack, at ${at}`,
  'no-registers': () => 'nobody noted the registers of its CPU',
  scanned: () => 'the kernel has no tables for it, and its return addresses are guesses of a scan',
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
