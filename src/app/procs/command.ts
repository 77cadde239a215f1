import type { Command } from 'commander';
import { HostError } from '../../base/errors.js';
import type { NamespacedPid } from '../../walk/processes/process-facts.js';
import { UsageError } from '../kit/failure.js';
import { openProcessHost, readsHost } from './host.js';
import {
  addGrowthOptions,
  addProcsOptions,
  checkProcsSource,
  type GivenProcsOptions,
  isGrowthRequested,
  type ProcsOptions,
} from './options.js';
import { addStacksOptions, answerStacks, checkStacksOptions } from './stacks.js';

const EXAMPLES = `
Examples:
  memory of each process of this machine, and sums by Kubernetes pod
    kdump-mem procs --live
    kdump-mem procs --live --by pod
  processes with the most swapped out
    kdump-mem procs --live --sort swap
  the same with an estimate of what their sockets pin
    kdump-mem procs --live --sockets
  processes of another host, from a snapshot; growth between its two samples
    kdump-mem procs --from host.tar.gz
    kdump-mem procs --from host.tar.gz --watch
  processes of a crashed machine, from page tables in its dump
    kdump-mem procs --vmcore vmcore
  mappings of one process by file and kind; the same by its pid in a container,
  and by its pid in the pid namespace with that inode number
    kdump-mem procs --live --pid 4711
    kdump-mem procs --live --container 3f2a --pid 1
    kdump-mem procs --live --pid 4026532201:7
  open descriptors of one process: files, sockets, pipes, memfds, BPF maps
    kdump-mem procs --live --pid 4711 --fds
    kdump-mem procs --vmcore vmcore --pid 4711 --fds
  processes that grow, with rate and confidence interval
    kdump-mem procs --live --watch
  the same over hours: store samples from cron, then read the file
    kdump-mem procs --live --ndjson >> FILE
    kdump-mem procs --from-samples FILE
  allocation sites of one process: perf records for 10 seconds
    kdump-mem procs --live --pid 4711 --stacks 10

OWN MEMORY   memory of this process alone: USS, swap, page tables, and from a
             dump memory that only its sockets hold. A kill frees at least that
             (except of pid 1, and of what is estimated). With --by: of the
             group; AT MOST is the upper bound of what killing the group frees
USS          pages that no other process maps. Those of files stay in the page
             cache after a kill
PSS          each page divided by the number of processes that map it, so that
             PSS of all processes adds up
RSS          all pages that the process maps; shared pages count for each
SOCKETS      network memory that the sockets pin: counted in a dump; with
             --live --sockets an estimate (~), which is part of OWN MEMORY
≥, at least  some of the figures could not be read
≤            upper bound: RSS, swap and page tables
ZERO HUGE    with --huge: base pages of zeros in transparent huge pages that
             no other process maps
not read     PSS and USS of a process of more than 512 MiB in memory or in
             swap: reading blocks it, so only --pss all does

--live reads /proc. PSS and USS of other users’ processes require root; without,
the answer says how many processes lack them. Docs: docs/procs.md.

Exit status: 0 success, 1 a limit of --fail-on is exceeded, 2 wrong usage,
3 dump or /proc unreadable, or perf failed (--stacks), 4 pid or container not
found, 5 (with --strict) incomplete, or (with --fail-on) too incomplete to
compare.`;

/** Registers `kdump-mem procs`, which lists the memory of each process. */
export function registerProcs(program: Command): void {
  const command = addProcsOptions(program.command('procs')).addHelpText('after', EXAMPLES).action(answerProcs);
  addGrowthOptions(command);
  addStacksOptions(command);
}

async function answerProcs(given: GivenProcsOptions): Promise<void> {
  checkProcsSource(given);
  const options = await withMachinePid(given);
  checkStacksOptions(options);
  const growth = isGrowthRequested(options);
  if (options.stacks !== undefined) {
    const { onePid } = await import('./options.js');
    const { liveHost } = await import('../../host/live.js');
    return answerStacks(options, () => onePid(options, liveHost));
  }
  if (growth) {
    const { answerGrowth } = await import('./growth.js');
    return answerGrowth(options);
  }
  if (options.pid !== undefined) {
    if (options.by !== undefined)
      throw new UsageError('--by and --pid exclude each other: --by adds up several processes');
    if (options.fds) {
      const { showDescriptors } = await import('./mappings.js');
      return showDescriptors(options);
    }
    const { showMappings } = await import('./mappings.js');
    return showMappings(options);
  }
  if (options.fds) throw new UsageError('--fds requires --pid: it lists one process');
  const { listProcesses } = await import('./list.js');
  await listProcesses(options);
}

/**
 * Replaces NS:PID by the pid in the machine's initial pid namespace.
 *
 * @throws {WalkError} `no-such-pid`; {@link HostError}, {@link KernelError}: it is ambiguous
 */
async function withMachinePid(given: GivenProcsOptions): Promise<ProcsOptions> {
  const { pid, ...options } = given;
  if (pid === undefined) return options;
  if (typeof pid === 'number') return { ...options, pid };
  if (options.container !== undefined) throw new UsageError('--pid NS:PID and --container exclude each other');
  return { ...options, pid: await (readsHost(options) ? ofHost(pid, options) : inDump(pid, options)) };
}

async function inDump(wanted: NamespacedPid, options: ProcsOptions): Promise<number> {
  const [{ openSource }, { findInPidNamespace }] = await Promise.all([
    import('../kit/kernel-source.js'),
    import('../../walk/processes/process-facts.js'),
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
    import('../../host/proc/process.js'),
    import('../../walk/processes/process-facts.js'),
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
