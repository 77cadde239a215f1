import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { OrcUnwinder } from '../../../src/walk/stacks/orc-unwinder.js';
import {
  after,
  codeOf,
  FUNCTION_BYTES,
  type MadeEntry,
  madeStack,
  REGS,
  STACK,
  STACK_BYTES,
  TEXT,
  type Version,
} from '../../support/made-stack.js';

const AREA = { start: STACK, end: STACK + BigInt(STACK_BYTES), task: 0n };
const at = (offset: number): bigint => STACK + BigInt(offset);

/** Switched out in one, called by two with a frame pointer, in an interrupt of three, called by four. */
const FUNCTIONS: readonly (readonly [string, MadeEntry])[] = [
  ['one', { type: 'call', sp: 'sp', spOffset: 24 }],
  ['two', { type: 'call', sp: 'bp', spOffset: 16, bp: 'prev-sp', bpOffset: -16 }],
  ['entry', { type: 'regs', sp: 'sp', spOffset: 0, signal: true }],
  ['three', { type: 'call', sp: 'sp', spOffset: 8 }],
  ['four', { type: 'end' }],
];

/** thread.sp is 0x100; words of the stack by offset. */
const INACTIVE = 0x100;
const BOTTOM = STACK_BYTES - 0x40;
const WORDS: Readonly<Record<number, bigint>> = {
  [INACTIVE + 40]: at(0x1e0),
  [INACTIVE + 48]: after(0),
  [INACTIVE + 56 + 16]: after(1),
  480: 0x77n,
  488: after(2),
  // The frame of two ends at 0x1f0, where the registers are.
  [0x1f0 + REGS.ip]: TEXT + 3n * FUNCTION_BYTES + 4n,
  [0x1f0 + REGS.cs]: 0x10n,
  [0x1f0 + REGS.sp]: at(BOTTOM),
  [BOTTOM]: after(4),
};

function unwound(kernel: Kernel) {
  const { frames, end, why } = new OrcUnwinder(kernel).sleeping(AREA, at(INACTIVE));
  return {
    frames: frames.map(({ address, interrupted, guess }) => {
      const near = kernel.symbolAt?.(interrupted ? address : address - 1n);
      return `${guess ? '?' : ''}${interrupted ? '!' : ''}${near?.name}`;
    }),
    end,
    why,
  };
}

const SOUND = { frames: ['one', 'two', 'entry', '!three', 'four'], end: 'first', why: undefined };

describe.each([1, 2, 3, 4] as Version[])('tables of version %i', (version) => {
  test('lead through calls, frame pointers and interrupts to the end', () => {
    expect(unwound(madeStack(version, FUNCTIONS, WORDS))).toEqual(SOUND);
  });

  test('find the caller of an interrupted function at its interrupted instruction, not behind a call', () => {
    // At the first byte of four nothing was called yet: as a return address it would belong to three.
    const words = { ...WORDS, [0x1f0 + REGS.ip]: TEXT + 4n * FUNCTION_BYTES };
    expect(unwound(madeStack(version, FUNCTIONS, words)).frames).toEqual(['one', 'two', 'entry', '!four']);
  });

  test('end at user-space registers only where the stack ends', () => {
    const end = STACK_BYTES - 168;
    const words = { ...WORDS, 480: 0n, [INACTIVE + 40]: at(end - 16), [end - 8]: after(2), [end + REGS.cs]: 0x33n };
    expect(unwound(madeStack(version, FUNCTIONS, words))).toMatchObject({ end: 'user' });
    const amid = { ...WORDS, [0x1f0 + REGS.cs]: 0x33n };
    expect(unwound(madeStack(version, FUNCTIONS, amid))).toMatchObject({
      end: 'stopped',
      why: expect.stringContaining('in the middle of the stack'),
    });
  });

  test('mark a frame whose return address does not follow a call as a guess, and the stack as incomplete', () => {
    const kernel = madeStack(version, FUNCTIONS, WORDS);
    codeOf(kernel).fill(0x90, Number(FUNCTION_BYTES), Number(FUNCTION_BYTES) * 2);
    expect(unwound(kernel)).toEqual({
      frames: ['one', '?two'],
      end: 'stopped',
      why: 'the return address does not follow a call instruction',
    });
  });

  test('pass a function outside every table by its frame pointer, and mark the next frame as a guess', () => {
    const outside = TEXT + 0x2_0000n;
    const words = { ...WORDS, [INACTIVE + 56 + 16]: outside };
    const { frames, end } = unwound(madeStack(version, FUNCTIONS, words));
    expect(frames.slice(0, 3)).toEqual(['one', 'undefined', '?entry']);
    expect(end).toBe('first');
  });

  test('stop at return address 0', () => {
    const words = { ...WORDS, 488: 0n };
    expect(unwound(madeStack(version, FUNCTIONS, words))).toMatchObject({
      end: 'stopped',
      why: 'the return address is 0',
    });
  });

  test('refuse an unaligned stack pointer of a sleeping task', () => {
    const kernel = madeStack(version, FUNCTIONS, WORDS);
    expect(new OrcUnwinder(kernel).sleeping(AREA, at(INACTIVE) + 4n)).toMatchObject({ frames: [], end: 'stopped' });
  });

  test.each([
    ['outside the stack', TEXT + 0x1000n],
    ['below the frame before', at(0x40)],
  ])('stop where a saved frame pointer leads %s', (_, bp) => {
    const words = { ...WORDS, [INACTIVE + 40]: bp, 72: after(2), [INACTIVE + 56 + 16]: after(1) };
    expect(unwound(madeStack(version, FUNCTIONS, words))).toMatchObject({
      frames: ['one', 'two'],
      end: 'stopped',
      why: expect.stringContaining('not above the one before in the stack'),
    });
  });

  test.each([
    ['__start_orc_unwind_ip', 4, 'no code address at entry'],
    ['__start_orc_unwind', 6, 'repeats an entry'],
    ['orc_lookup', 4, 'but orc_lookup has 0 to 0'],
  ])('stop at a page of zeros in %s', (name, size, why) => {
    const many = Array.from({ length: 12 }, (_, index) => FUNCTIONS[index % 2]!);
    const kernel = madeStack(version, many, { ...WORDS, [INACTIVE + 48]: after(7) });
    const bytes = kernel.read(kernel.symbol(name)!, 12 * size);
    for (let index = 5; index < 12; index++)
      for (let byte = 0; byte < size; byte++) bytes.setUint8(index * size + byte, 0);
    if (name === 'orc_lookup') bytes.setUint32(4, 0);
    expect(unwound(kernel)).toMatchObject({ end: 'stopped', why: expect.stringContaining(why) });
  });

  test('stop at a stack that loops', () => {
    const looped: typeof FUNCTIONS = [['one', { type: 'call', sp: 'sp-indirect', spOffset: 0 }], ...FUNCTIONS.slice(1)];
    const own = at(INACTIVE + 56);
    const words = { ...WORDS, [INACTIVE + 56]: own, [INACTIVE + 48]: after(0) };
    expect(unwound(madeStack(version, looped, words)).end).toBe('stopped');
  });

  test('stop where the unwind table ends, and report that', () => {
    const ends: typeof FUNCTIONS = [['one', { type: 'undefined' }], ...FUNCTIONS.slice(1)];
    const { end, why } = unwound(madeStack(version, ends, { ...WORDS, [INACTIVE + 56 + 16]: 0n, 488: 0n }));
    expect(end).toBe('stopped');
    expect(why).toContain('the unwind table ends');
  });
});

test('in an unknown format are refused, whatever their type', () => {
  const kernel = madeStack(4, FUNCTIONS, WORDS);
  kernel.read(kernel.symbol('__start_orc_header') ?? 0n, 1).setUint8(0, 0);
  expect(() => new OrcUnwinder(kernel)).toThrow(expect.objectContaining({ code: 'unsupported-layout' }));
});

test('of version 3 without a header are recognized by their type', () => {
  const kernel = madeStack(3, FUNCTIONS, WORDS);
  const symbol = (name: string) => (name.endsWith('header') ? undefined : kernel.symbol(name));
  expect(unwound({ ...kernel, symbol })).toEqual(SOUND);
});
