import { expect, test } from 'vitest';
import { StackGroups } from '../../src/account/task-stacks.js';
import type { TaskStack } from '../../src/walk/stacks/task-stacks.js';

/** A thread that waits at this many places. */
function thread(pid: number, places: readonly bigint[]): TaskStack {
  const frames = places.map((address) => ({ address, interrupted: false, guess: false }));
  return {
    task: { address: BigInt(pid), pid, comm: 'x', files: 0n, signal: 0n, kernelThread: false },
    process: 1,
    state: 'S',
    cpu: undefined,
    registers: undefined,
    stack: { frames, end: 'user' },
  };
}

test('stores a stack of 250,000 threads once, and lists them by pid', () => {
  const groups = new StackGroups();
  const COUNT = 250_000;
  groups.add(thread(COUNT + 2, [3n]));
  groups.add(thread(COUNT + 1, [4n]));
  for (let pid = COUNT; pid > 0; pid--) groups.add(thread(pid, [1n, 2n]));
  const list = groups.list();
  expect(groups.tasks).toBe(COUNT + 2);
  expect(list.map(({ tasks }) => tasks.length)).toEqual([COUNT, 1, 1]);
  expect(list.map(({ tasks }) => tasks[0]?.pid)).toEqual([1, COUNT + 1, COUNT + 2]);
  // The last one was pid 1; the stack of the first stands for all.
  expect(list[0]?.stack.frames.map(({ address }) => address)).toEqual([1n, 2n]);
  expect(Object.keys(list[0]?.tasks[0] ?? {})).not.toContain('stack');
});
