import type { StacksAnswer } from '../../../src/contracts/task-stacks.js';
import type { Guest } from '../../support/guest.js';

/**
 * `/proc/PID/stack` of every process of a guest: pid → `function+offset`, followed by its module.
 */
export async function procStacks(guest: Pick<Guest, 'run'>): Promise<Map<number, string[]>> {
  const { output } = await guest.run('cd /proc; for p in [0-9]*; do echo "pid $p"; cat $p/stack; done 2>/dev/null');
  const stacks = new Map<number, string[]>();
  let lines: string[] = [];
  for (const line of output.toString().split('\n')) {
    const pid = /^pid (\d+)$/.exec(line)?.[1];
    if (pid !== undefined) {
      lines = [];
      stacks.set(Number(pid), lines);
    }
    const [, name, module = ''] = /^\[<0>\] (\S+)\/0x[0-9a-f]+( \[\w+\])?$/.exec(line) ?? [];
    if (name !== undefined) lines.push(`${name}${module}`);
  }
  return new Map([...stacks].filter(([, found]) => found.length > 0));
}

/**
 * Frames that are no guess, in the same form. The kernel omits the scheduler's own frames, which
 * come first.
 */
export function frameNames(frames: StacksAnswer['stacks'][number]['frames']): string[] {
  return frames
    .filter(({ guess }) => !guess)
    .map(({ symbol, offset, module }) => {
      const of = module === null ? '' : ` [${module}]`;
      return `${symbol}+0x${(offset ?? 0).toString(16)}${of}`;
    });
}
