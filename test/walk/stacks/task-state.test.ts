import { expect, test } from 'vitest';
import { taskState } from '../../../src/walk/stacks/task-state.js';

// include/linux/sched.h of 6.12: what ps says of each.
test.each([
  ['R', 0, 0],
  ['S', 0x1, 0],
  ['D', 0x2, 0],
  ['D, killable', 0x102, 0],
  ['D, frozen', 0x8000, 0],
  ['D, for a lock of PREEMPT_RT', 0x1000, 0],
  ['S, freezable', 0x2001, 0],
  ['I', 0x402, 0],
  ['I, freezable', 0x2402, 0],
  ['T', 0x104, 0],
  ['t', 0x8, 0],
  ['P', 0x40, 0],
  ['Z', 0x80, 0x20],
  ['X', 0x80, 0x10],
])('%s', (name, state, exitState) => {
  expect(taskState(state, exitState)).toBe(name[0]);
});
