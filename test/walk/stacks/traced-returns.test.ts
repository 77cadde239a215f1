import { expect, test } from 'vitest';
import { checkSwitch } from '../../../src/walk/stacks/traced-returns.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const [SCHEDULE, SWITCH, FORK] = [0x1000, 0x2000, 0x3000];
const AFTER = SCHEDULE + 0x20;

function switched(
  address: number,
  offset: number,
  symbols: Readonly<Record<string, number>> = { __switch_to_asm: SWITCH },
) {
  const kernel = madeKernel({ structs: {}, symbols, words: { [AFTER - 4]: [offset >>> 0, 4] } });
  const names: Readonly<Record<number, string>> = { [SCHEDULE]: '__schedule', [FORK]: 'ret_from_fork_asm' };
  const symbolAt = (at: bigint) => {
    const start = Number(at - made(0)) & ~0xfff;
    return { name: names[start] ?? 'other', offset: Number(at - made(start)) };
  };
  return () => checkSwitch({ ...kernel, symbolAt }, made(address));
}

test.each([
  ['behind a call of __switch_to_asm', AFTER, SWITCH - AFTER],
  ['behind a call that enters its padding', AFTER, SWITCH - AFTER - 16],
  ['at the beginning of a new task', FORK, 0],
])('a task may be switched out %s', (_, address, offset) => {
  expect(switched(address, offset)).not.toThrow();
});

test('nothing is said where the kernel has no such symbol, or its code cannot be read', () => {
  expect(switched(AFTER, 0, {})).not.toThrow();
  expect(switched(0x7000_0000, 0)).not.toThrow();
});

test.each([
  ['behind a call of another function', AFTER, SWITCH - AFTER + 16],
  ['behind a call far before it', AFTER, SWITCH - AFTER - 32],
  ['elsewhere in its function', AFTER - 4, 0],
  ['at the beginning of another function', SCHEDULE, 0],
])('a task cannot be switched out %s', (_, address, offset) => {
  expect(switched(address, offset)).toThrow(/does not follow a call of __switch_to_asm$/);
});
