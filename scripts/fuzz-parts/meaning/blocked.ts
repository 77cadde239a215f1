import { blockedTasks } from '../../../src/account/blocked.js';
import { blockedJson } from '../../../src/answers/blocked/render.js';
import type { Command } from './answers.js';

/** `blocked --all`: tasks, their stacks, locks and waiters. The lab's dumps have no blocked task: name one that has. */
export const BLOCKED = { commands: (): Command[] => [command()], frames: () => new Map() };

function command(): Command {
  /** Warnings without damage: the lab's locks include one whose owner has exited. */
  let known: ReadonlySet<string> | undefined;
  return {
    name: 'blocked --all',
    ask(kernel) {
      const { stacks: _, warnings, ...json } = blockedJson(blockedTasks(kernel, { all: true }));
      known ??= new Set(warnings.map(({ message }) => message));
      const complete = warnings.every(({ message }) => known?.has(message));
      const key = ({ kind, address, ...lock }: (typeof json.locks)[number]) => ({
        key: `${kind} ${address}`,
        ...lock,
        waiters: lock.waiters.map(({ pid, seconds: __, stack: ___, ...one }) => ({ key: String(pid), ...one })),
      });
      return { json: { ...json, locks: json.locks.map(key) }, complete };
    },
  };
}
