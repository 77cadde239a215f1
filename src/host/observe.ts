import { AcceptQueues, belongsTo } from './accept-queues.js';
import { HostError, isHostError } from './error.js';
import { type HostFacts, readHostFacts } from './facts.js';
import type { HostSource } from './host-source.js';
import { type Losses, lossesOf } from './losses.js';
import { findNamespaces, type Namespace, type NetnsChoice } from './namespaces.js';
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
  readSwitches,
  type Switches,
  stoodStill,
} from './proc/process.js';
import { readProcfsSample } from './procnet/read.js';
import { type SocketRecord, socketKey } from './socket.js';
import { ALL_GROUPS, readSample, type Sample, type SsGroup } from './ss/read.js';

/** What was seen of a host's sockets: one sample, or several and what lay between them. */
export interface Observation {
  readonly host: HostFacts;
  /** What the sockets were read by. */
  readonly reader: 'ss' | 'procfs';
  readonly namespaces: readonly Namespace[];
  /** All samples, at least one; `first` and `last` are its ends. */
  readonly samples: readonly Sample[];
  readonly first: Sample;
  /** Null when one sample was asked for. */
  readonly last: Sample | null;
  /** Of all samples, and of what was read between them. */
  readonly losses: Losses;
  /**
   * The time between the samples, cut into pieces. For each: the queues of all sockets but TCP's at
   * its end, and which processes stood still from before its beginning until after its end.
   */
  readonly windows: readonly Window[];
  readonly holders: HolderScan;
  /** The processes that hold a socket of interest or have more descriptors than at first, at the end. */
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** CPU time that these processes used or waited for since the first sample, in so much time at most. */
  readonly cpu: ReadonlyMap<number, CpuTime & { readonly withinMs: number }>;
  /** For each sample the number of descriptors of each process; empty with less than 3 samples. */
  readonly descriptors: readonly ReadonlyMap<number, number>[];
  /** The sockets (inodes) of the one process that was asked about, or null for all. */
  readonly onlyInodes: ReadonlySet<number> | null;
}

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
  /** Recv-Q at the beginning and the end, by `socketKey`; not there: not known. */
  readonly recvQ: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  /** pid → it ran at no time in the window; null: unknown. */
  readonly still: ReadonlyMap<number, boolean | null>;
}

export interface ObserveOptions {
  /** Milliseconds between two samples; 0 takes one. */
  readonly intervalMs: number;
  /** How many samples: 2 when there is an interval. */
  readonly samples?: number;
  readonly pid?: number;
  /** Which sockets are asked about: nobody looks for the owners of others. All if not said. */
  readonly accepts?: (socket: SocketRecord) => boolean;
  /** Which network namespaces; our own if not said. */
  readonly netns?: NetnsChoice;
  /** The newest sample of an earlier observation, to begin with instead of taking a first one. */
  readonly since?: Sample;
  /** What the first sample lacks may have been lost: a capture is damaged. */
  readonly torn?: boolean;
  /** Into how many windows to cut the time between two samples; 4. */
  readonly windows?: number;
  /** Where to read sockets: `auto` takes /proc/net only where there is no ss. */
  readonly reader?: 'auto' | 'ss' | 'procfs';
}

/** Hidden processes are watched too, as possible holders, as long as they are not more than this. */
const MAX_HIDDEN_WATCHED = 64;

/** Into so many windows the time between two samples is cut; with more samples, into two. */
const WINDOWS = 4;

const NOT_TCP: readonly SsGroup[] = ['datagrams', 'unix', 'others'];

/**
 * Samples the host's sockets. When sockets other than TCP hold unread data these are read again in
 * between, because their evidence is weaker.
 * Throws `HostError`: `ss-…`, `no-such-process`, `no-such-netns`, `denied` (the fds of `pid`),
 * `unreadable`.
 */
export async function observe(source: HostSource, options: ObserveOptions): Promise<Observation> {
  const pid = options.pid === undefined ? null : findProcess(source, options.pid);
  const namespaces = findNamespaces(source, options.netns ?? 'own');
  const host = readHostFacts(source, namespaces);
  const count = options.intervalMs > 0 ? Math.max(2, options.samples ?? 2) : 1;
  const scan = new DescriptorScan(source);
  const accepts = options.accepts ?? (() => true);
  const startScan = (socket: SocketRecord) => {
    // Whoever waits for it is told of its failure, too.
    if (wantsOwner(socket) && accepts(socket)) scan.run().catch(() => undefined);
  };
  const { reader, first: sample } = await readFirst(source, namespaces, options, startScan);
  const torn = options.torn ? new Set(namespaces.map(({ inode }) => inode)) : sample.torn;
  const first = { ...sample, torn };
  const read = reader === 'ss' ? readSample : readProcfsSample;
  const onlyInodes = pid === null ? null : inodesOf(source, pid);
  const belongs = belongsTo(onlyInodes, new AcceptQueues(first.sockets));
  const interesting = first.sockets.filter(
    (socket) => wantsOwner(socket) && accepts(socket) && belongs(socket),
  );
  if (interesting.length > 0) await scan.run();
  const early = scan.holdersOf(inodesWanted(interesting));
  // A capture's first states are from before its first sample, a host's from after it.
  const cpuBeganMs = options.since ? source.now() : first.startedMs;
  const cpuBefore = new Map(
    pidsOf(early).map((each) => [each, readCpuTime(source, each)] as const),
  );
  const descriptors: ReadonlyMap<number, number>[] = [];
  const countFds = () => {
    if (count > 2) descriptors.push(countAllDescriptors(source));
  };
  countFds();

  const weak = interesting.filter(
    (socket) => socket.recvQ > 0 && (socket.protocol !== 'TCP' || lacksFigures(socket)),
  );
  const between = weak.some(({ protocol }) => protocol === 'TCP') ? ALL_GROUPS : NOT_TCP;
  const samples = [first];
  const readings = [first];
  const windows: Window[] = [];
  if (count > 1) {
    const begun = source.now();
    const waitFor = async (part: number) =>
      source.sleep(Math.max(0, begun + options.intervalMs * part - source.now()));
    const weakPids = new Set<number>();
    for (const socket of weak)
      for (const inode of [socket.inode, socket.peerInode])
        for (const holder of early.byInode.get(inode) ?? []) weakPids.add(holder.pid);
    if (weak.length > 0 && early.denied.length <= MAX_HIDDEN_WATCHED)
      for (const hidden of early.denied) weakPids.add(hidden);
    const pieces = weak.length === 0 ? 1 : (options.windows ?? (count === 2 ? WINDOWS : 2));
    let before =
      weak.length === 0 ? null : await readTick(source, read, namespaces, weakPids, between);
    if (before) readings.push(before.sample);
    for (let piece = 1; piece <= pieces * (count - 1); piece++) {
      await waitFor(piece / pieces);
      const whole = piece % pieces === 0;
      const groups = whole ? ALL_GROUPS : between;
      const after = await readTick(source, read, namespaces, weakPids, groups);
      readings.push(after.sample);
      if (before) windows.push(windowBetween(weak, weakPids, before, after));
      before = before && after;
      if (whole) {
        samples.push(after.sample);
        countFds();
      }
    }
  }
  const last = samples.length > 1 ? (samples.at(-1) ?? null) : null;
  const wanted = last
    ? [
        ...interesting,
        ...last.sockets.filter(
          (socket) => (wantsOwner(socket) || drops(socket)) && accepts(socket),
        ),
      ]
    : interesting;
  // Who holds the listener owns what waits at it.
  const queues = new AcceptQueues((last ?? first).sockets);
  const inodes = inodesWanted([...wanted, ...wanted.flatMap((socket) => queues.of(socket))]);
  if (inodes.size > 0) await scan.run();
  const holders = await withLateHolders(source, scan.holdersOf(inodes), inodes);
  const processes = new Map<number, ProcessRecord>();
  const cpu = new Map<number, CpuTime & { withinMs: number }>();
  for (const each of new Set([...pidsOf(holders), ...grown(descriptors)])) {
    const process = readProcess(source, each);
    if (process) processes.set(each, process);
    const before = cpuBefore.get(each) ?? null;
    const after = before && readCpuTime(source, each);
    if (before && after)
      cpu.set(each, {
        usedMs: Math.max(0, after.usedMs - before.usedMs),
        waitedMs: Math.max(0, after.waitedMs - before.waitedMs),
        withinMs: source.now() - cpuBeganMs,
      });
  }
  return {
    host,
    reader,
    namespaces,
    samples,
    first,
    last,
    losses: lossesOf(readings),
    windows,
    holders,
    processes,
    cpu,
    descriptors,
    onlyInodes,
  };
}

/** Our first sample tells what all others are read by. */
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

/** A TCP socket of which it is not known how much it has received. */
function lacksFigures({ protocol, tcp, state }: SocketRecord): boolean {
  return protocol === 'TCP' && (tcp?.bytesReceived ?? null) === null && state !== 'LISTEN';
}

/** Something waits in one of its queues, so that its owner matters. */
function wantsOwner(socket: SocketRecord): boolean {
  return socket.recvQ > 0 || (socket.sendQ > 0 && socket.state !== 'LISTEN');
}

function drops({ skmem }: SocketRecord): boolean {
  return (skmem?.drops ?? 0) > 0;
}

function inodesWanted(sockets: readonly SocketRecord[]): ReadonlySet<number> {
  const wanted = new Set<number>();
  for (const socket of sockets)
    for (const inode of [socket.inode, socket.peerInode, ...(socket.waiting ?? [])])
      if (inode !== 0) wanted.add(inode);
  return wanted;
}

function pidsOf(holders: HolderScan): number[] {
  const pids = new Set<number>();
  for (const each of holders.byInode.values()) for (const { pid } of each) pids.add(pid);
  return [...pids];
}

/** The processes with more descriptors at the last sample than at the first. */
function grown(descriptors: Observation['descriptors']): number[] {
  const [from] = descriptors;
  const to = descriptors.at(-1);
  return [...(to ?? [])].flatMap(([pid, count]) =>
    count > (from?.get(pid) ?? Number.POSITIVE_INFINITY) ? [pid] : [],
  );
}

/** A sample with the switches of some processes before and after it. */
interface Tick {
  readonly sample: Sample;
  readonly before: ReadonlyMap<number, Switches | null>;
  readonly after: ReadonlyMap<number, Switches | null>;
}

async function readTick(
  source: HostSource,
  read: typeof readSample,
  namespaces: readonly Namespace[],
  pids: ReadonlySet<number>,
  groups: readonly SsGroup[],
): Promise<Tick> {
  const switches = () => new Map([...pids].map((pid) => [pid, readSwitches(source, pid)]));
  const before = switches();
  const sample = await read(source, namespaces, groups);
  return { sample, before, after: switches() };
}

function windowBetween(
  sockets: readonly SocketRecord[],
  pids: ReadonlySet<number>,
  from: Tick,
  to: Tick,
): Window {
  const start = queues(from.sample);
  const end = queues(to.sample);
  const recvQ = new Map<string, { from: number; to: number }>();
  for (const socket of sockets) {
    const key = socketKey(socket);
    // A sample keeps only sockets with something in a queue, so a missing one is read empty, or gone,
    // unless its line is among those that were lost.
    const at = (queue: ReadonlyMap<string, number>, { torn }: Sample) =>
      queue.get(key) ?? (torn.has(socket.netns) ? null : 0);
    const [one, other] = [at(start, from.sample), at(end, to.sample)];
    if (one !== null && other !== null) recvQ.set(key, { from: one, to: other });
  }
  const still = new Map<number, boolean | null>();
  for (const pid of pids)
    still.set(pid, stoodStill(from.before.get(pid) ?? null, to.after.get(pid) ?? null));
  return { startMs: from.sample.endedMs, endMs: to.sample.startedMs, recvQ, still };
}

function queues(sample: Sample): ReadonlyMap<string, number> {
  const byKey = new Map<string, number>();
  for (const socket of sample.sockets)
    if (socket.protocol !== 'TCP' || lacksFigures(socket))
      byKey.set(socketKey(socket), socket.recvQ);
  return byKey;
}

function inodesOf(source: HostSource, pid: number): ReadonlySet<number> {
  const table = socketFds(source, `/proc/${pid}/fd`);
  if (table === 'denied')
    throw new HostError('denied', `the descriptors of process ${pid} may not be read`);
  if (table === 'gone') throw new HostError('no-such-process', `process ${pid} has ended`);
  return new Set(table.keys());
}
