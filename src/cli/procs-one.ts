import { WalkError } from '../walk/error.js';
import { UsageError } from './failure.js';
import { type ProcsOptions, selection } from './procs-options.js';

/**
 * The one running process that --pid and --container mean, as this machine numbers it.
 *
 * @throws {WalkError} there is none; {@link UsageError} they mean several
 */
export async function onePid(options: ProcsOptions): Promise<number> {
  const { pid, container } = options;
  if (pid === undefined) throw new UsageError('--stacks records one process: name it with --pid');
  if (container === undefined) return pid;
  const [{ liveHost }, { readProcesses }, { hostProcesses }] = await Promise.all([
    import('../host/live.js'),
    import('../host/proc/process-memory.js'),
    import('../account/processes/host.js'),
  ]);
  const found = hostProcesses(readProcesses(liveHost)).processes.filter(selection(options));
  const [first, ...others] = found.map((process) => process.pid);
  if (first === undefined)
    throw new WalkError('no-such-pid', 'no process is as --pid and --container say');
  if (others.length > 0)
    throw new UsageError(
      `--pid and --container mean more than one: pid ${[first, ...others].join(', ')}`,
    );
  return first;
}
