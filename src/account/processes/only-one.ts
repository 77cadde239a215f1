import { WalkError } from '../../base/errors/walk.js';
import type { ProcessFigures } from './process.js';

/**
 * The one process that is chosen.
 *
 * @throws {WalkError} `no-such-pid` if none is, or several are
 */
export function onlyOne(
  processes: readonly ProcessFigures[],
  select: (process: ProcessFigures) => boolean,
): ProcessFigures {
  const [first, ...others] = processes.filter(select);
  if (!first) throw new WalkError('no-such-pid', 'no process matches --pid and --container');
  if (others.length > 0) {
    const pids = [first, ...others].map(({ pid }) => pid).join(', ');
    throw new WalkError(
      'no-such-pid',
      `--pid and --container match several processes (pid ${pids} on the host): give more of the container’s id`,
    );
  }
  return first;
}
