import { HostError, isHostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import { findNamespaces, type Namespace, type NetnsChoice } from './namespaces.js';
import {
  drops,
  type InFlight,
  inodesWanted,
  lacksFigures,
  lossesOf,
  type Observation,
  readHostFacts,
  type Window,
  wantsOwner,
} from './observation.js';
import { countAllDescriptors, DescriptorScan, type HolderScan, socketFds, withLateHolders } from './proc/holders.js';
import {
  type CpuTime,
  findProcess,
  optionalText,
  type ProcessRecord,
  readCpuTime,
  readProcess,
  readSwitches,
  type Switches,
  stoodStill,
} from './proc/process.js';
import { readProcfsSample } from './procnet/read.js';
import { AcceptQueues, belongsTo, OtherEnds, type SocketRecord, socketKey } from './socket.js';
import { ALL_GROUPS, readSample, type Sample, type SsGroup } from './ss/read.js';

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
  /** The host is a capture: its first states of processes precede its first sample. */
  readonly captured?: boolean;
  /** Number of windows between two samples (default 4). */
  readonly windows?: number;
  /** Source of sockets: `auto` uses /proc/net only if ss is missing. */
  readonly reader?: 'auto' | 'ss' | 'procfs';
  /** Finds the sockets that ss does not list (default: no). */
  readonly unlisted?: boolean;
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
  const listed = options.unlisted ? new Set<number>() : undefined;
  const { reader, first: sample } = await readFirst(source, namespaces, options, startScan, listed);
  const torn = options.torn ? new Set(namespaces.map(({ inode }) => inode)) : sample.torn;
  const first = { ...sample, torn };
  const onlyInodes = pid === null ? null : inodesOf(source, pid);
  const belongs = belongsTo(onlyInodes, new AcceptQueues(first.sockets));
  const interesting = first.sockets.filter((socket) => wantsOwner(socket) && accepts(socket) && belongs(socket));
  if (interesting.length > 0) await scan.run();
  const early = scan.holdersOf(inodesWanted(interesting));
  const cpu = new CpuWatch(source, pidsOf(early), options.captured ? first.startedMs : null);
  const descriptors: ReadonlyMap<number, number>[] = [];
  const countFds = () => {
    if (count > 2) descriptors.push(countAllDescriptors(source));
  };
  countFds();
  const read = reader === 'ss' ? readSample : readProcfsSample;
  const { intervalMs, windows } = options;
  const weak = weakSockets(interesting);
  const watched = { source, namespaces, read, count, intervalMs, windows, weak, holders: early };
  const observed = count > 1 ? await watch(watched, countFds) : { samples: [], readings: [], windows: [] };
  const samples = [first, ...observed.samples];
  const last = observed.samples.at(-1) ?? null;
  const late = (last?.sockets ?? []).filter((socket) => (wantsOwner(socket) || drops(socket)) && accepts(socket));
  const wanted = [...interesting, ...late];
  // The owner of a listener owns its pending connections.
  const queues = new AcceptQueues((last ?? first).sockets);
  const ends = new OtherEnds((last ?? first).sockets);
  const inodes = inodesWanted(wanted.flatMap((socket) => [socket, ...queues.of(socket), ends.of(socket) ?? []].flat()));
  // Without ss there is no such listing.
  const unlisted = reader === 'ss' ? listed : undefined;
  if (inodes.size > 0 || unlisted) await scan.run();
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
    unlisted: unlisted ? scan.except(unlisted) : [],
    scmFds: onlyInodes === null && wanted.some(isHeldByNone(holders)) ? readInFlight(source, wanted, holders) : [],
  };
}

const isHeldByNone =
  ({ byInode }: HolderScan) =>
  ({ inode }: SocketRecord): boolean =>
    inode !== 0 && !byInode.has(inode);

/** Maximum number of unix sockets that are searched for descriptors in flight. */
const MAX_UNIX_SEARCHED = 10_000;

/** Reads `scm_fds` of /proc/PID/fdinfo (sock_show_fdinfo, 5.6): descriptors in the queue of a unix socket. */
function readInFlight(source: HostSource, sockets: readonly SocketRecord[], { byInode }: HolderScan): InFlight[] {
  const inodes = new Set(
    sockets.flatMap(({ protocol, recvQ, inode }) => (protocol === 'UNIX' && recvQ > 0 ? inode : [])),
  );
  return [...inodes].slice(0, MAX_UNIX_SEARCHED).flatMap((inode) => {
    const [
      {
        pid,
        fds: [fd = 0],
      } = { pid: 0, fds: [] },
    ] = byInode.get(inode) ?? [];
    if (pid === 0) return [];
    const text = optionalText(source, `/proc/${pid}/fdinfo/${fd}`);
    const descriptors = Number(/^scm_fds:\s*(\d{1,9})$/m.exec(text)?.[1] ?? 0);
    const comm = optionalText(source, `/proc/${pid}/comm`).trimEnd() || null;
    return descriptors > 0 ? [{ pid, comm, fd, descriptors }] : [];
  });
}

/** The first sample determines how all others are read. */
async function readFirst(
  source: HostSource,
  namespaces: readonly Namespace[],
  options: ObserveOptions,
  onKept: (socket: SocketRecord) => void,
  listed?: Set<number>,
): Promise<{ reader: Observation['reader']; first: Sample }> {
  const wanted = options.reader ?? 'ss';
  if (options.since) return { reader: wanted === 'procfs' ? 'procfs' : 'ss', first: options.since };
  if (wanted !== 'procfs')
    try {
      return { reader: 'ss', first: await readSample(source, namespaces, ALL_GROUPS, onKept, listed) };
    } catch (error) {
      if (wanted === 'ss' || !isHostError(error, 'ss-missing')) throw error;
    }
  return { reader: 'procfs', first: await readProcfsSample(source, namespaces, ALL_GROUPS) };
}

function pidsOf(holders: HolderScan): number[] {
  const pids = new Set<number>();
  for (const list of holders.byInode.values()) for (const { pid } of list) pids.add(pid);
  return [...pids];
}

/** Processes with more descriptors at the last sample than at the first. */
function grown(descriptors: Observation['descriptors']): number[] {
  const [from] = descriptors;
  const to = descriptors.at(-1);
  return [...(to ?? [])].flatMap(([pid, count]) => (count > (from?.get(pid) ?? Number.POSITIVE_INFINITY) ? [pid] : []));
}

function inodesOf(source: HostSource, pid: number): ReadonlySet<number> {
  const table = socketFds(source, `/proc/${pid}/fd`);
  if (table === 'denied') throw new HostError('denied', `file descriptors of process ${pid}: permission denied`);
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
  readonly #before: ReadonlyMap<number, { readonly beganMs: number; readonly time: CpuTime | null }>;

  /**
   * @param beganMs start of the measured time by the source's clock; null: now. To find the holders of sockets can take
   *   longer than the interval, and a process that spins would seem to rest.
   */
  constructor(source: HostSource, pids: Iterable<number>, beganMs: number | null) {
    this.#source = source;
    this.#before = new Map(
      Array.from(pids, (pid) => [pid, { beganMs: beganMs ?? source.now(), time: readCpuTime(source, pid) }] as const),
    );
  }

  /** Of these processes, the ones that still exist; CPU time of the recorded ones. */
  since(pids: Iterable<number>): WatchedProcesses {
    const source = this.#source;
    const processes = new Map<number, ProcessRecord>();
    const cpu = new Map<number, CpuTime & { withinMs: number }>();
    for (const pid of pids) {
      const process = readProcess(source, pid);
      if (process) processes.set(pid, process);
      const { beganMs, time: before = null } = this.#before.get(pid) ?? { beganMs: 0 };
      const after = before && readCpuTime(source, pid);
      if (before && after)
        cpu.set(pid, {
          usedMs: Math.max(0, after.usedMs - before.usedMs),
          waitedMs: Math.max(0, after.waitedMs - before.waitedMs),
          withinMs: source.now() - beganMs,
        });
    }
    return { processes, cpu };
  }
}

/** Hidden processes are watched too, as possible holders, up to this number. */
const MAX_HIDDEN_WATCHED = 64;

/** Number of windows between two samples; two if there are more samples. */
const WINDOWS = 4;

/** The group of `ss` that reports this socket. */
function groupOf({ protocol }: SocketRecord): SsGroup {
  if (protocol === 'TCP') return 'tcp';
  if (protocol === 'UNIX') return 'unix';
  return protocol === 'UDP' || protocol === 'RAW' ? 'datagrams' : 'others';
}

interface WatchParameters {
  readonly source: HostSource;
  readonly namespaces: readonly Namespace[];
  readonly read: typeof readSample;
  /** Number of samples, including the one before the watch. */
  readonly count: number;
  /** Milliseconds between two samples. */
  readonly intervalMs: number;
  /** Number of windows between two samples, if not the default. */
  readonly windows: number | undefined;
  /** Sockets with weak evidence, and their possible holders. */
  readonly weak: readonly SocketRecord[];
  readonly holders: HolderScan;
}

interface WatchResult {
  /** The samples after the first. */
  readonly samples: readonly Sample[];
  /** All readings, including those in between. */
  readonly readings: readonly Sample[];
  readonly windows: readonly Window[];
}

/** Sockets with unread data for which no counter shows whether the data is read. */
function weakSockets(sockets: readonly SocketRecord[]): SocketRecord[] {
  return sockets.filter((socket) => socket.recvQ > 0 && (socket.protocol !== 'TCP' || lacksFigures(socket)));
}

/**
 * Takes all samples after the first, each at its time, and reads the groups of weak sockets in between.
 *
 * @param onSample called after every full sample
 */
async function watch(watched: WatchParameters, onSample: () => void): Promise<WatchResult> {
  const { source, count, intervalMs, weak } = watched;
  const [samples, readings, windows]: [Sample[], Sample[], Window[]] = [[], [], []];
  const weakGroups = new Set(weak.map(groupOf));
  const between = ALL_GROUPS.filter((group) => weakGroups.has(group));
  const started = source.now();
  const waitFor = async (part: number) => source.sleep(Math.max(0, started + intervalMs * part - source.now()));
  const pids = pidsWatched(watched);
  const pieces = weak.length === 0 ? 1 : (watched.windows ?? (count === 2 ? WINDOWS : 2));
  let before = weak.length === 0 ? null : await readTick(watched, pids, between);
  if (before) readings.push(before.sample);
  for (let piece = 1; piece <= pieces * (count - 1); piece++) {
    await waitFor(piece / pieces);
    const isFull = piece % pieces === 0;
    const after = await readTick(watched, pids, isFull ? ALL_GROUPS : between);
    readings.push(after.sample);
    if (before) windows.push(windowBetween(weak, pids, before, after));
    before = before && after;
    if (!isFull) continue;
    samples.push(after.sample);
    onSample();
  }
  return { samples, readings, windows };
}

/** Processes that may read weak sockets. */
function pidsWatched({ weak, holders }: WatchParameters): ReadonlySet<number> {
  const pids = new Set<number>();
  for (const socket of weak)
    for (const inode of [socket.inode, socket.peerInode])
      for (const holder of holders.byInode.get(inode) ?? []) pids.add(holder.pid);
  if (weak.length > 0 && holders.denied.length <= MAX_HIDDEN_WATCHED)
    for (const hidden of holders.denied) pids.add(hidden);
  return pids;
}

/** A sample with the context switches of some processes before and after it. */
interface Tick {
  readonly sample: Sample;
  readonly before: ReadonlyMap<number, Switches | null>;
  readonly after: ReadonlyMap<number, Switches | null>;
}

async function readTick(
  { source, read, namespaces }: WatchParameters,
  pids: ReadonlySet<number>,
  groups: readonly SsGroup[],
): Promise<Tick> {
  const switches = () => new Map([...pids].map((pid) => [pid, readSwitches(source, pid)]));
  const before = switches();
  const sample = await read(source, namespaces, groups);
  return { sample, before, after: switches() };
}

function windowBetween(sockets: readonly SocketRecord[], pids: ReadonlySet<number>, from: Tick, to: Tick): Window {
  const start = queues(from.sample);
  const end = queues(to.sample);
  const recvQ = new Map<string, { from: number; to: number }>();
  for (const socket of sockets) {
    const key = socketKey(socket);
    // A sample contains only sockets with data in a queue, so a missing one is empty or closed, unless
    // its line may have been lost.
    const at = (queue: ReadonlyMap<string, number>, { torn }: Sample) =>
      queue.get(key) ?? (torn.has(socket.netns) ? null : 0);
    const [first, second] = [at(start, from.sample), at(end, to.sample)];
    if (first !== null && second !== null) recvQ.set(key, { from: first, to: second });
  }
  const still = new Map<number, boolean | null>();
  for (const pid of pids) still.set(pid, stoodStill(from.before.get(pid) ?? null, to.after.get(pid) ?? null));
  return { startMs: from.sample.endedMs, endMs: to.sample.startedMs, recvQ, still };
}

function queues(sample: Sample): ReadonlyMap<string, number> {
  const byKey = new Map<string, number>();
  for (const socket of sample.sockets)
    if (socket.protocol !== 'TCP' || lacksFigures(socket)) byKey.set(socketKey(socket), socket.recvQ);
  return byKey;
}
