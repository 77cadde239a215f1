import { expect, test } from 'vitest';
import { StackGroups } from '../../src/account/task-stacks.js';
import type { TaskStack } from '../../src/walk/stacks/task-stacks.js';

/** A thread that waits at so many places. */
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

test('a stack of a quarter of a million threads is kept once, and they come by pid', () => {
  const groups = new StackGroups();
  const COUNT = 250_000;
  groups.add(thread(COUNT + 2, [3n]));
  groups.add(thread(COUNT + 1, [4n]));
  for (let pid = COUNT; pid > 0; pid--) groups.add(thread(pid, [1n, 2n]));
  const list = groups.list();
  expect(groups.tasks).toBe(COUNT + 2);
  expect(list.map(({ tasks }) => tasks.length)).toEqual([COUNT, 1, 1]);
  expect(list.map(({ tasks }) => tasks[0]?.pid)).toEqual([1, COUNT + 1, COUNT + 2]);
  // The last that came was pid 1, and the first's stack stands for all.
  expect(list[0]?.stack.frames.map(({ address }) => address)).toEqual([1n, 2n]);
  expect(Object.keys(list[0]?.tasks[0] ?? {})).not.toContain('stack');
});
