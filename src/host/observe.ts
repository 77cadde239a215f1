import { HostError, isHostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import { findNamespaces, type Namespace, type NetnsChoice } from './namespaces.js';
import {
  drops,
  inodesWanted,
  lossesOf,
  type Observation,
  readHostFacts,
  wantsOwner,
} from './observation.js';
import {
  countAllDescriptors,
  DescriptorScan,
  type HolderScan,
  socketFds,
  withLateHolders,
} from './proc/holders.js';
import {
  type CpuTime,
  findProcess,
  type ProcessRecord,
  readCpuTime,
  readProcess,
} from './proc/process.js';
import { readProcfsSample } from './procnet/read.js';
import { AcceptQueues, belongsTo, OtherEnds, type SocketRecord } from './socket.js';
import { ALL_GROUPS, readSample, type Sample } from './ss/read.js';
import { watch, weakSockets } from './watch.js';

export interface ObserveOptions {
  /** Milliseconds between two samples; 0 for a single sample. */
  readonly intervalMs: number;
  /** Number of samples (default 2 if there is an interval). */
  readonly samples?: number;
  readonly pid?: number;
  /** Selects sockets: owners of other sockets are not searched (default: all). */
  readonly accepts?: (socket: SocketRecord) => boolean;
  /** Network namespaces to read (default: our own). */
  readonly netns?: NetnsChoice;
  /** The newest sample of an earlier observation, used instead of a new first one. */
  readonly since?: Sample;
  /** Sockets missing in the first sample may have been lost: the capture is damaged. */
  readonly torn?: boolean;
  /** Number of windows between two samples (default 4). */
  readonly windows?: number;
  /** Source of sockets: `auto` uses /proc/net only if ss is missing. */
  readonly reader?: 'auto' | 'ss' | 'procfs';
}

/**
 * Samples the host's sockets. If sockets other than TCP hold unread data, these are read again between
 * samples, because their evidence is weaker. Throws `HostError`: `ss-…`, `no-such-process`,
 * `no-such-netns`, `denied` (the fds of `pid`), `unreadable`.
 */
export async function observe(source: HostSource, options: ObserveOptions): Promise<Observation> {
  const pid = options.pid === undefined ? null : findProcess(source, options.pid);
  const netns = options.netns ?? 'own';
  let hidden = 0;
  const namespaces = findNamespaces(source, netns, () => {
    if (netns === 'all') hidden += 1;
  });
  const host = readHostFacts(source, namespaces);
  const count = options.intervalMs > 0 ? Math.max(2, options.samples ?? 2) : 1;
  const scan = new DescriptorScan(source);
  const accepts = options.accepts ?? (() => true);
  const startScan = (socket: SocketRecord) => {
    // The function that awaits the scan gets the error as well.
    if (wantsOwner(socket) && accepts(socket)) scan.run().catch(() => undefined);
  };
  const { reader, first: sample } = await readFirst(source, namespaces, options, startScan);
  const torn = options.torn ? new Set(namespaces.map(({ inode }) => inode)) : sample.torn;
  const first = { ...sample, torn };
  const onlyInodes = pid === null ? null : inodesOf(source, pid);
  const belongs = belongsTo(onlyInodes, new AcceptQueues(first.sockets));
  const interesting = first.sockets.filter(
    (socket) => wantsOwner(socket) && accepts(socket) && belongs(socket),
  );
  if (interesting.length > 0) await scan.run();
  const early = scan.holdersOf(inodesWanted(interesting));
  // A capture's first process states precede its first sample, a host's follow it.
  const cpuBeganMs = options.since ? source.now() : first.startedMs;
  const cpu = new CpuWatch(source, pidsOf(early), cpuBeganMs);
  const descriptors: ReadonlyMap<number, number>[] = [];
  const countFds = () => {
    if (count > 2) descriptors.push(countAllDescriptors(source));
  };
  countFds();
  const read = reader === 'ss' ? readSample : readProcfsSample;
  const { intervalMs, windows } = options;
  const weak = weakSockets(interesting);
  const watched = { source, namespaces, read, count, intervalMs, windows, weak, holders: early };
  const observed =
    count > 1 ? await watch(watched, countFds) : { samples: [], readings: [], windows: [] };
  const samples = [first, ...observed.samples];
  const last = observed.samples.at(-1) ?? null;
  const late = (last?.sockets ?? []).filter(
    (socket) => (wantsOwner(socket) || drops(socket)) && accepts(socket),
  );
  const wanted = [...interesting, ...late];
  // The owner of a listener owns its pending connections.
  const queues = new AcceptQueues((last ?? first).sockets);
  const ends = new OtherEnds((last ?? first).sockets);
  const inodes = inodesWanted(
    wanted.flatMap((socket) => [socket, ...queues.of(socket), ends.of(socket) ?? []].flat()),
  );
  if (inodes.size > 0) await scan.run();
  const holders = await withLateHolders(source, scan.holdersOf(inodes), inodes);
  return {
    host,
    reader,
    namespaces,
    samples,
    first,
    last,
    losses: lossesOf([first, ...observed.readings], hidden),
    windows: observed.windows,
    holders,
    ...cpu.since(new Set([...pidsOf(holders), ...grown(descriptors)])),
    descriptors,
    onlyInodes,
  };
}

/** The first sample determines how all others are read. */
async function readFirst(
  source: HostSource,
  namespaces: readonly Namespace[],
  options: ObserveOptions,
  onKept: (socket: SocketRecord) => void,
): Promise<{ reader: Observation['reader']; first: Sample }> {
  const wanted = options.reader ?? 'ss';
  if (options.since) return { reader: wanted === 'procfs' ? 'procfs' : 'ss', first: options.since };
  if (wanted !== 'procfs')
    try {
      return { reader: 'ss', first: await readSample(source, namespaces, ALL_GROUPS, onKept) };
    } catch (error) {
      if (wanted === 'ss' || !isHostError(error, 'ss-missing')) throw error;
    }
  return { reader: 'procfs', first: await readProcfsSample(source, namespaces, ALL_GROUPS) };
}

function pidsOf(holders: HolderScan): number[] {
  const pids = new Set<number>();
  for (const each of holders.byInode.values()) for (const { pid } of each) pids.add(pid);
  return [...pids];
}

/** Processes with more descriptors at the last sample than at the first. */
function grown(descriptors: Observation['descriptors']): number[] {
  const [from] = descriptors;
  const to = descriptors.at(-1);
  return [...(to ?? [])].flatMap(([pid, count]) =>
    count > (from?.get(pid) ?? Number.POSITIVE_INFINITY) ? [pid] : [],
  );
}

function inodesOf(source: HostSource, pid: number): ReadonlySet<number> {
  const table = socketFds(source, `/proc/${pid}/fd`);
  if (table === 'denied')
    throw new HostError('denied', `file descriptors of process ${pid}: permission denied`);
  if (table === 'gone') throw new HostError('no-such-process', `process ${pid} has exited`);
  return new Set(table.keys());
}

/** Processes at the end of the observation, and their CPU time since its start. */
interface WatchedProcesses {
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** CPU time used or waited for, within at most this much time. */
  readonly cpu: ReadonlyMap<number, CpuTime & { readonly withinMs: number }>;
}

/** Records the CPU time of processes, to compute their use since then. */
class CpuWatch {
  readonly #source: HostSource;
  readonly #beganMs: number;
  readonly #before: ReadonlyMap<number, CpuTime | null>;

  /** @param beganMs start of the measured time by the source's clock */
  constructor(source: HostSource, pids: Iterable<number>, beganMs: number) {
    this.#source = source;
    this.#beganMs = beganMs;
    this.#before = new Map(Array.from(pids, (pid) => [pid, readCpuTime(source, pid)] as const));
  }

  /** Of these processes, the ones that still exist; CPU time of the recorded ones. */
  since(pids: Iterable<number>): WatchedProcesses {
    const source = this.#source;
    const processes = new Map<number, ProcessRecord>();
    const cpu = new Map<number, CpuTime & { withinMs: number }>();
    for (const pid of pids) {
      const process = readProcess(source, pid);
      if (process) processes.set(pid, process);
      const before = this.#before.get(pid) ?? null;
      const after = before && readCpuTime(source, pid);
      if (before && after)
        cpu.set(pid, {
          usedMs: Math.max(0, after.usedMs - before.usedMs),
          waitedMs: Math.max(0, after.waitedMs - before.waitedMs),
          withinMs: source.now() - this.#beganMs,
        });
    }
    return { processes, cpu };
  }
}
