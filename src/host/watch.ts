import type { HostSource } from './host-source.js';
import type { Namespace } from './namespaces.js';
import type { Window } from './observation.js';
import { lacksFigures } from './of-interest.js';
import type { HolderScan } from './proc/holders.js';
import { readSwitches, type Switches, stoodStill } from './proc/process.js';
import { type SocketRecord, socketKey } from './socket.js';
import { ALL_GROUPS, type readSample, type Sample, type SsGroup } from './ss/read.js';

/** Hidden processes are watched too, as possible holders, as long as they are not more than this. */
const MAX_HIDDEN_WATCHED = 64;

/** Into so many windows the time between two samples is cut; with more samples, into two. */
const WINDOWS = 4;

const NOT_TCP: readonly SsGroup[] = ['datagrams', 'unix', 'others'];

/** What is watched, and how. */
export interface Watched {
  readonly source: HostSource;
  readonly namespaces: readonly Namespace[];
  readonly read: typeof readSample;
  /** Samples to take, that before the watch among them. */
  readonly count: number;
  /** Milliseconds between two of them. */
  readonly intervalMs: number;
  /** Into how many windows the time between two samples is cut, if not the usual ones. */
  readonly windows: number | undefined;
  /** The sockets whose evidence is weak, and who may hold them. */
  readonly weak: readonly SocketRecord[];
  readonly holders: HolderScan;
}

/** What a watch saw. */
export interface Seen {
  /** The samples after the first. */
  readonly samples: readonly Sample[];
  /** All that was read, in between as well. */
  readonly readings: readonly Sample[];
  readonly windows: readonly Window[];
}

/** Sockets that hold unread data, and of which no figure tells whether somebody reads. */
export function weakOnes(sockets: readonly SocketRecord[]): SocketRecord[] {
  return sockets.filter(
    (socket) => socket.recvQ > 0 && (socket.protocol !== 'TCP' || lacksFigures(socket)),
  );
}

/**
 * Takes all samples but the first, each after its time, and reads weak sockets in between.
 *
 * @param onSample told of every whole sample, when it was taken
 */
export async function watch(watched: Watched, onSample: () => void): Promise<Seen> {
  const { source, count, intervalMs, weak } = watched;
  const [samples, readings, windows]: [Sample[], Sample[], Window[]] = [[], [], []];
  const between = weak.some(({ protocol }) => protocol === 'TCP') ? ALL_GROUPS : NOT_TCP;
  const begun = source.now();
  const waitFor = async (part: number) =>
    source.sleep(Math.max(0, begun + intervalMs * part - source.now()));
  const pids = pidsWatched(watched);
  const pieces = weak.length === 0 ? 1 : (watched.windows ?? (count === 2 ? WINDOWS : 2));
  let before = weak.length === 0 ? null : await readTick(watched, pids, between);
  if (before) readings.push(before.sample);
  for (let piece = 1; piece <= pieces * (count - 1); piece++) {
    await waitFor(piece / pieces);
    const whole = piece % pieces === 0;
    const after = await readTick(watched, pids, whole ? ALL_GROUPS : between);
    readings.push(after.sample);
    if (before) windows.push(windowBetween(weak, pids, before, after));
    before = before && after;
    if (!whole) continue;
    samples.push(after.sample);
    onSample();
  }
  return { samples, readings, windows };
}

/** Who may read weak sockets. */
function pidsWatched({ weak, holders }: Watched): ReadonlySet<number> {
  const pids = new Set<number>();
  for (const socket of weak)
    for (const inode of [socket.inode, socket.peerInode])
      for (const holder of holders.byInode.get(inode) ?? []) pids.add(holder.pid);
  if (weak.length > 0 && holders.denied.length <= MAX_HIDDEN_WATCHED)
    for (const hidden of holders.denied) pids.add(hidden);
  return pids;
}

/** A sample with the switches of some processes before and after it. */
interface Tick {
  readonly sample: Sample;
  readonly before: ReadonlyMap<number, Switches | null>;
  readonly after: ReadonlyMap<number, Switches | null>;
}

async function readTick(
  { source, read, namespaces }: Watched,
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
