import { UsageError } from './failure.js';
import { type ProcsOptions, selection } from './procs-options.js';

/**
 * The one running process that --pid and --container mean, as this machine numbers it.
 *
 * @throws {WalkError} there is none, or they mean several
 */
export async function onePid(options: ProcsOptions): Promise<number> {
  const { pid, container } = options;
  if (pid === undefined) throw new UsageError('--stacks records one process: name it with --pid');
  if (container === undefined) return pid;
  const [{ liveHost }, { readProcesses }, { hostProcesses }, { onlyOne }] = await Promise.all([
    import('../host/live.js'),
    import('../host/proc/process-memory.js'),
    import('../account/processes/host.js'),
    import('../account/processes/only-one.js'),
  ]);
  return onlyOne(
    hostProcesses(readProcesses(liveHost, { withoutOom: true })).processes,
    selection(options),
  ).pid;
}
