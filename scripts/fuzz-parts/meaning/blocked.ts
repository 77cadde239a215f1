import { blockedTasks } from '../../../src/account/blocked.js';
import { jsonOf } from '../../../src/base/util.js';
import type { Command } from './answers.js';

/** `blocked --all`: tasks, their stacks, locks and waiters. The lab's dumps have no blocked task: name one that has. */
export const BLOCKED = { commands: (): Command[] => [command()], frames: () => new Map() };

function command(): Command {
  /** Without damage: warnings (the lab's locks include one whose owner has exited), and what is unknown. */
  let known: { readonly warnings: ReadonlySet<string>; readonly unknown: number } | undefined;
  return {
    name: 'blocked --all',
    ask(kernel) {
      const { stacks: _, warnings, ...json } = jsonOf(blockedTasks(kernel, { all: true }));
      const isUnknown = (lock: (typeof json.locks)[number]) =>
        lock.kind === 'unknown' || (lock.object?.kind === 'slab-object' && lock.object.state === 'unknown');
      const unknown = json.locks.filter(isUnknown).length;
      known ??= { warnings: new Set(warnings.map(({ message }) => message)), unknown };
      const sound = known;
      const complete = unknown <= sound.unknown && warnings.every(({ message }) => sound.warnings.has(message));
      const key = ({ kind, address, ...lock }: (typeof json.locks)[number]) => ({
        key: `${kind} ${address}`,
        ...lock,
        waiters: lock.waiters.map(({ pid, seconds: __, stack: ___, ...one }) => ({ key: String(pid), ...one })),
      });
      return { json: { ...json, locks: json.locks.map(key) }, complete };
    },
  };
}
