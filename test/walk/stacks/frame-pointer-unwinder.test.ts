import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { FramePointerUnwinder } from '../../../src/walk/stacks/frame-pointer-unwinder.js';
import { after, madeStack, REGS, STACK, STACK_BYTES, TEXT } from '../../support/made-stack.js';

const AREA = { start: STACK, end: STACK + BigInt(STACK_BYTES), task: 0n };
const at = (offset: number): bigint => STACK + BigInt(offset);

const FUNCTIONS = ['one', 'two', 'three', 'four'].map((name) => [name, { type: 'end' }] as const);

/** thread.sp is 0x100: an inactive_task_frame; user-space registers are at the end. */
const INACTIVE = 0x100;
const USER = STACK_BYTES - 168;
const LAST = USER - 16;
const CHAIN: Readonly<Record<number, bigint>> = {
  [INACTIVE + 40]: at(0x200),
  [INACTIVE + 48]: after(0),
  // Stale values of one, from calls that have returned.
  [0x180]: after(3),
  [0x200]: at(0x300),
  [0x208]: after(1),
  // An interrupt in the middle of three, which four called.
  [0x300]: at(0x400) | 1n,
  [0x308]: after(2),
  [0x400 + REGS.ip]: TEXT + 0x84n,
  [0x400 + REGS.cs]: 0x10n,
  [0x400 + REGS.bp]: at(LAST),
  [LAST + 8]: after(3),
  [USER + REGS.cs]: 0x33n,
};

/** @param changed replacement words of the stack by offset */
function unwound(changed: Readonly<Record<number, bigint>> = {}, words = CHAIN) {
  const kernel: Kernel = { ...madeStack(1, FUNCTIONS, { ...words, ...changed }), symbol: () => undefined };
  const { frames, end, stop } = new FramePointerUnwinder(kernel).sleeping(AREA, at(INACTIVE));
  return {
    frames: frames.map(({ address, interrupted, guess }) => {
      const near = kernel.symbolAt?.(interrupted ? address : address - 1n);
      return `${guess ? '?' : ''}${interrupted ? '!' : ''}${near?.name}`;
    }),
    end,
    code: stop?.code,
  };
}

describe('stacks of a kernel without ORC tables', () => {
  test('follow frame pointers through calls and interrupts to user space, without guesses', () => {
    const frames = ['one', 'two', 'three', '!three', 'four'];
    expect(unwound()).toEqual({ frames, end: 'user', code: undefined });
    expect(unwound({ [USER + REGS.cs]: 0n })).toEqual({ frames, end: 'first', code: undefined });
  });

  const GUESSED = ['one', '?four', '?two', '?three', '?four'];
  test.each([
    ['another value in the register', { [INACTIVE + 40]: 0x1234n }],
    ['zero in the register', { [INACTIVE + 40]: 0n }],
    ['a chain that ends in the middle of the stack', { [0x300]: 0n }],
    ['a chain that goes backwards', { [0x300]: at(0x180) }],
    ['a chain that loops', { [0x300]: at(0x200) }],
    ['an unaligned chain', { [0x200]: at(0x304) }],
    ['user-space registers in the middle', { [0x400 + REGS.cs]: 0x33n }],
  ])('are scanned, with every frame a guess and an incomplete result: %s', (_, changed) => {
    expect(unwound(changed)).toEqual({ frames: GUESSED, end: 'stopped', code: 'scanned' });
  });

  test('ignore a return address that does not follow a call', () => {
    const { frames, code } = unwound({ [0x208]: after(1) + 1n });
    expect({ frames, code }).toEqual({ frames: ['one', '?four', '?three', '?four'], code: 'scanned' });
  });

  test('end in user space for a task that has never run', () => {
    const never = { [INACTIVE + 40]: at(USER) | 1n, [INACTIVE + 48]: TEXT, [USER + REGS.cs]: 0x33n };
    expect(unwound({}, never)).toEqual({ frames: ['!one'], end: 'user', code: undefined });
  });
});
