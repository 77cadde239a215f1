import { InvalidArgumentError } from 'commander';
import { HostError } from '../../base/errors/host.js';
import type { NamespacedPid } from '../../walk/processes/pid-numbers.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { askedHost, asksHost } from './host.js';
import type { ProcsOptions } from './options.js';

/** A pid as the machine numbers it, or as a pid namespace does. */
export type PidArgument = number | NamespacedPid;

/** Options as they were given: --pid may be NS:PID. */
export type GivenProcsOptions = Omit<ProcsOptions, 'pid'> & { readonly pid?: PidArgument };

/** `4711`, or `4026532201:7`. */
export function parsePid(text: string): PidArgument {
  const [, namespace, inside] = /^(\d{1,15}):(\d{1,10})$/.exec(text) ?? [];
  const pid = parseNumber(inside ?? text);
  if (pid < 1) throw new InvalidArgumentError('It must be 1 or more.');
  return namespace === undefined ? pid : { namespace: Number(namespace), pid };
}

/**
 * The same with the machine's own number of the process.
 *
 * @throws {WalkError} `no-such-pid`; {@link HostError}, {@link KernelError}: it is not sure which it is
 */
export async function withMachinePid(given: GivenProcsOptions): Promise<ProcsOptions> {
  const { pid, ...options } = given;
  if (pid === undefined) return options;
  if (typeof pid === 'number') return { ...options, pid };
  if (options.container !== undefined)
    throw new UsageError('--pid NS:PID says which namespace: it takes no --container');
  return {
    ...options,
    pid: await (asksHost(options) ? ofHost(pid, options) : inDump(pid, options)),
  };
}

async function inDump(wanted: NamespacedPid, options: ProcsOptions): Promise<number> {
  const [{ openSource }, { findInPidNamespace }] = await Promise.all([
    import('../kit/kernel-source.js'),
    import('../../walk/processes/pid-namespaces.js'),
  ]);
  const kernel = await openSource(options);
  try {
    return findInPidNamespace(kernel, wanted);
  } finally {
    kernel.close();
  }
}

async function ofHost(wanted: NamespacedPid, options: ProcsOptions): Promise<number> {
  const [{ source }, { findPids }, { notThere }] = await Promise.all([
    askedHost(options),
    import('../../host/proc/pid-namespaces.js'),
    import('../../walk/processes/pid-namespaces.js'),
  ]);
  const { namespace, pid } = wanted;
  const { pids, known, deeper, denied } = findPids(source, namespace, pid);
  const [first, ...others] = pids;
  const what = `pid ${pid} in pid namespace ${namespace}`;
  if (others.length > 0)
    throw new HostError('unreadable', `more than one process has ${what}: pid ${pids.join(', ')}`, {
      next: 'One has ended meanwhile: ask again.',
    });
  if (first !== undefined) return first;
  if (denied > 0)
    throw new HostError(
      'denied',
      `${what} may be one of ${denied} processes whose namespace may not be seen`,
    );
  if (deeper.length > 0)
    throw new HostError(
      'unreadable',
      `${what} is none of its own processes. It may be one farther in: pid ${deeper.join(', ')}`,
      { next: 'Ask for that, or name the namespace farther in.' },
    );
  throw notThere(wanted, known);
}
