import type { HostSource } from '../../host/host-source.js';
import { UsageError } from '../kit/failure.js';
import { type ProcsOptions, selection } from './options.js';

/**
 * The one process that --pid and --container mean, as its machine numbers it.
 *
 * @throws {WalkError} there is none, or they mean several
 */
export async function onePid(options: ProcsOptions, source: HostSource): Promise<number> {
  const { pid, container } = options;
  if (pid === undefined) throw new UsageError('--stacks records one process: select it with --pid');
  if (container === undefined) return pid;
  const [{ readProcesses }, { hostProcesses }, { onlyOne }] = await Promise.all([
    import('../../host/proc/process-memory.js'),
    import('../../account/processes/host.js'),
    import('../../account/processes/only-one.js'),
  ]);
  return onlyOne(
    hostProcesses(await readProcesses(source, { withoutOom: true })).processes,
    selection(options),
  ).pid;
}
