import { groupedStacks } from '../../../src/account/task-stacks.js';
import { jsonOf } from '../../../src/base/util.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Command, Said } from './answers.js';

/** `stacks`: tasks, their stacks, and the tables that lead through them. */
export const STACKS = { commands: (): Command[] => [{ name: 'stacks', ask }], frames: () => new Map() };

/** By thread: a group changes with each that leaves it. A frame that is a guess says so. */
function ask(kernel: Kernel): Said {
  const { stacks, ...json } = jsonOf(groupedStacks(kernel, {}));
  const threads = stacks.flatMap(({ tasks, frames, ...stack }) =>
    tasks.map((task) => ({
      key: `${task.pid} ${task.pid === 0 ? task.cpu : ''}`,
      ...task,
      ...stack,
      functions: frames.map(({ symbol, module }) => `${symbol} ${module ?? ''}`),
      // Of a sound dump only what ran has any.
      guessed: task.cpu === null && frames.some(({ guess }) => guess),
    })),
  );
  const complete = json.complete && !threads.some(({ guessed }) => guessed);
  return { json: { ...json, threads }, complete };
}
