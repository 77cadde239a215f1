import { expect, test } from 'vitest';
import { Arm64Unwinder } from '../../../src/walk/stacks/arm64-unwinder.js';
import { made, madeKernel } from '../../support/made-kernel.js';

/** Functions of 256 bytes in the order of their names; entry code is that of exceptions. */
const NAMES = ['irq', 'entry', 'leaf', 'caller', 'other', 'start'] as const;
const TEXT = 0x1000;
const code = (name: (typeof NAMES)[number], offset: number) => TEXT + NAMES.indexOf(name) * 0x100 + offset;
const STACK = 0x8000;
const BYTES = 0x4000;
const AREA = { start: made(STACK), end: made(STACK + BYTES), task: 0n };
const REGS = { x29: 29 * 8, x30: 30 * 8, pc: 256, pstate: 264, stackframe: 280, size: 336 } as const;
/** The record of the handler, the registers of the interrupted function, its caller's record, and those of user space. */
const [HANDLER, SAVED, OWN, USER] = [STACK + 0x100, STACK + 0x200, STACK + 0x400, STACK + BYTES - REGS.size] as const;

/** A call (BL) that returns to an address. */
const call = (back: number, to: number) =>
  [[back - 4], [(0x9400_0000 | (((to - back + 4) >> 2) & 0x3ff_ffff)) >>> 0, 4]] as const;

/** Frames of an interrupt in `leaf`, which has no frame record yet; `x30` is the link register. */
function interrupted(x30: number, { record = code('start', 0x20), called = code('leaf', 0) } = {}) {
  const base = madeKernel({
    structs: {
      pt_regs: {
        size: REGS.size,
        members: { regs: [0, 248], pc: REGS.pc, pstate: REGS.pstate, stackframe: [REGS.stackframe, 16] },
      },
    },
    symbols: {
      _stext: TEXT,
      _etext: code('start', 0x100),
      __entry_text_start: code('entry', 0),
      __entry_text_end: code('entry', 0x100),
    },
    words: {
      ...Object.fromEntries([
        call(code('entry', 0x20), code('irq', 0)),
        call(code('caller', 0x40), called),
        call(code('start', 0x20), code('caller', 0)),
      ]),
      [HANDLER]: made(SAVED + REGS.stackframe),
      [HANDLER + 8]: made(code('entry', 0x20)),
      [SAVED + REGS.x29]: made(OWN),
      [SAVED + REGS.x30]: made(x30),
      [SAVED + REGS.pc]: made(code('leaf', 0x10)),
      [SAVED + REGS.stackframe]: made(OWN),
      [SAVED + REGS.stackframe + 8]: made(code('leaf', 0x10)),
      [OWN]: made(USER + REGS.stackframe),
      [OWN + 8]: made(record),
      [USER + REGS.pc]: 0x1234n,
    },
  });
  const kernel = {
    ...base,
    symbolAt: (address: bigint) => {
      const offset = Number(address - made(TEXT));
      const name = NAMES[Math.floor(offset / 0x100)];
      return name === undefined ? undefined : { name, offset: offset % 0x100 };
    },
  };
  const { frames, end } = new Arm64Unwinder(kernel).sleeping(AREA, { pc: made(code('irq', 0x10)), fp: made(HANDLER) });
  const names = frames.map(({ address, guess, interrupted: is }) => {
    const name = kernel.symbolAt(is ? address : address - 1n)?.name;
    return `${guess ? '?' : ''}${is ? '!' : ''}${name}`;
  });
  return [...names, end];
}

test('an interrupted function that has no frame record has the caller that its link register names', () => {
  const caller = code('caller', 0x40);
  expect(interrupted(caller)).toEqual(['irq', 'entry', '!leaf', 'caller', 'start', 'user']);
  // The link register has the return address of the record, or of a call that has returned.
  expect(interrupted(caller, { record: caller })).toEqual(['irq', 'entry', '!leaf', 'caller', 'user']);
  expect(interrupted(code('leaf', 0x8))).toEqual(['irq', 'entry', '!leaf', 'start', 'user']);
});

test('a caller that calls another function is a guess', () => {
  const frames = ['irq', 'entry', '!leaf', '?caller', 'start', 'user'];
  expect(interrupted(code('caller', 0x40), { called: code('other', 0) })).toEqual(frames);
  expect(interrupted(code('caller', 0x80))).toEqual(frames);
});

test('a link register outside of all functions names no caller', () => {
  expect(interrupted(0x7000)).toEqual(['irq', 'entry', '!leaf', 'start', 'user']);
});
