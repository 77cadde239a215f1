import { InvalidArgumentError } from 'commander';
import { HostError } from '../../base/errors/host.js';
import type { NamespacedPid } from '../../walk/processes/pid-numbers.js';
import { parseNumber } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { openProcessHost, readsHost } from './host.js';
import type { ProcsOptions } from './options.js';

/** A pid in the machine's initial pid namespace, or in another. */
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
 * @throws {WalkError} `no-such-pid`; {@link HostError}, {@link KernelError}: it is ambiguous
 */
export async function withMachinePid(given: GivenProcsOptions): Promise<ProcsOptions> {
  const { pid, ...options } = given;
  if (pid === undefined) return options;
  if (typeof pid === 'number') return { ...options, pid };
  if (options.container !== undefined)
    throw new UsageError('--pid NS:PID and --container exclude each other');
  return {
    ...options,
    pid: await (readsHost(options) ? ofHost(pid, options) : inDump(pid, options)),
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
    openProcessHost(options),
    import('../../host/proc/pid-namespaces.js'),
    import('../../walk/processes/pid-namespaces.js'),
  ]);
  const { namespace, pid } = wanted;
  const { pids, known, deeper, denied } = findPids(source, namespace, pid);
  const [first, ...others] = pids;
  const what = `pid ${pid} in pid namespace ${namespace}`;
  if (others.length > 0)
    throw new HostError('unreadable', `several processes have ${what}: pid ${pids.join(', ')}`, {
      next: 'One of them has exited since: run the command again.',
    });
  if (first !== undefined) return first;
  if (denied > 0)
    throw new HostError(
      'denied',
      `${what} not found, but permission is denied for the namespaces of ${denied} processes`,
    );
  if (deeper.length > 0)
    throw new HostError(
      'unreadable',
      `${what} not found; it may belong to a nested namespace: pid ${deeper.join(', ')}`,
      { next: 'Use that pid, or the number of the nested namespace.' },
    );
  throw notThere(wanted, known);
}
