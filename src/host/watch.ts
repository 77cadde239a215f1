import type { HostSource } from './host-source.js';
import type { Namespace } from './namespaces.js';
import { lacksFigures, type Window } from './observation.js';
import type { HolderScan } from './proc/holders.js';
import { readSwitches, type Switches, stoodStill } from './proc/process.js';
import { type SocketRecord, socketKey } from './socket.js';
import { ALL_GROUPS, type readSample, type Sample, type SsGroup } from './ss/read.js';

/** Hidden processes are watched too, as possible holders, up to this number. */
const MAX_HIDDEN_WATCHED = 64;

/** Number of windows between two samples; two if there are more samples. */
const WINDOWS = 4;

const NOT_TCP: readonly SsGroup[] = ['datagrams', 'unix', 'others'];

export interface WatchParameters {
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

export interface WatchResult {
  /** The samples after the first. */
  readonly samples: readonly Sample[];
  /** All readings, including those in between. */
  readonly readings: readonly Sample[];
  readonly windows: readonly Window[];
}

/** Sockets with unread data for which no counter shows whether the data is read. */
export function weakSockets(sockets: readonly SocketRecord[]): SocketRecord[] {
  return sockets.filter(
    (socket) => socket.recvQ > 0 && (socket.protocol !== 'TCP' || lacksFigures(socket)),
  );
}

/**
 * Takes all samples after the first, each at its time, and reads weak sockets in between.
 *
 * @param onSample called after every full sample
 */
export async function watch(watched: WatchParameters, onSample: () => void): Promise<WatchResult> {
  const { source, count, intervalMs, weak } = watched;
  const [samples, readings, windows]: [Sample[], Sample[], Window[]] = [[], [], []];
  const between = weak.some(({ protocol }) => protocol === 'TCP') ? ALL_GROUPS : NOT_TCP;
  const started = source.now();
  const waitFor = async (part: number) =>
    source.sleep(Math.max(0, started + intervalMs * part - source.now()));
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
    // A sample contains only sockets with data in a queue, so a missing one is empty or closed, unless
    // its line may have been lost.
    const at = (queue: ReadonlyMap<string, number>, { torn }: Sample) =>
      queue.get(key) ?? (torn.has(socket.netns) ? null : 0);
    const [first, second] = [at(start, from.sample), at(end, to.sample)];
    if (first !== null && second !== null) recvQ.set(key, { from: first, to: second });
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
