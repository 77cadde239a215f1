import type { Observation } from '../host/observation.js';
import type { Holder } from '../host/proc/holders.js';
import type { ProcessRecord } from '../host/proc/process.js';
import { dropsAreLosses, isUnaccepted, type SocketRecord } from '../host/socket.js';
import { unreadBytes, unsentBytes } from './judge.js';
import { type PinnedEstimate, pinnedBy, type SocketPinned, sendQueueOf } from './pinned.js';
import type { SocketHistory } from './socket-history.js';
import { bySeverity, type Verdict } from './verdict.js';

/** A socket with a reportable problem, and the conclusions about it. */
export interface Finding {
  readonly socket: SocketRecord;
  readonly holders: readonly Holder[];
  /** The processes of `holders`, without those that exited meanwhile. */
  readonly processes: readonly ProcessRecord[];
  /** Why `holders` is empty, if it is. */
  readonly ownerless: 'unaccepted' | 'orphan' | 'denied' | 'none' | null;
  /** The accept queue that contains it; null for an accepted connection, and if no listener is known. */
  readonly acceptQueue: AcceptQueue | null;
  /** Unix: the peer, null if there is none. */
  readonly otherEnd: OtherEnd | null;
  /** Stalled TCP readers: the peer, if it is a socket of this host with data in its send queue. */
  readonly localPeer: LocalPeer | null;
  /** Unix listeners: the known clients that wait to be accepted, oldest first. */
  readonly waiting: readonly OtherEnd[];
  /** Bytes: see `unreadBytes`. */
  readonly unread: number;
  /** Bytes sent or written that the peer has not acknowledged; 0 except for TCP. */
  readonly unsent: number;
  /** The most severe problem. */
  readonly verdict: Verdict;
  /** Further problems. */
  readonly also: readonly Verdict[];
  /** Packets dropped between the samples (skmem `d`): for UDP those that its full queue could not hold. */
  readonly dropped: number;
  /**
   * Packets dropped before the first sample, if none was dropped since. `watchedMs` is null if the time is
   * unknown (a single sample, or a socket missing in the first one). Null: none, or unknown.
   */
  readonly droppedBefore: { readonly packets: number; readonly watchedMs: number | null } | null;
  /** Increase of the unread data between the samples; negative: a decrease. */
  readonly grew: number;
  /**
   * Minimum share of the time since the first sample that the first holder ran on a CPU (1 is one full CPU),
   * and the share that its main thread waited for a CPU; null: unknown.
   */
  readonly cpuShare: { readonly used: number; readonly waited: number } | null;
  readonly pinned: PinnedEstimate;
  /** Memory charged for the pinned data, or an upper estimate: see `SocketPinned`. */
  readonly charge: number;
}

/** The listener that has not accepted a connection, and its holders. */
export interface AcceptQueue {
  /**
   * The listener, or all listeners that share its port (SO_REUSEPORT), since it is unknown which one holds
   * the connection.
   */
  readonly listeners: readonly SocketRecord[];
  /** Holders of all `listeners`. */
  readonly holders: readonly Holder[];
  readonly processes: readonly ProcessRecord[];
}

/** A unix socket that another one is connected to, or waits to be. */
export interface OtherEnd {
  readonly inode: number;
  /** The holder with the lowest pid; null if none is known. */
  readonly holder: Holder | null;
  /** Null if there is none, or it exited meanwhile. */
  readonly process: ProcessRecord | null;
}

/**
 * The socket at the other end of a TCP connection, and the memory that its send queue pins until the
 * reader reads or exits.
 */
export interface LocalPeer extends OtherEnd, SocketPinned {
  readonly socket: SocketRecord;
  /** Bytes sent or written that the reader's end has not acknowledged. */
  readonly unsent: number;
}

/**
 * Local peers of these findings, each once, without those whose send queue is already in the `pinned`
 * of a finding among them.
 */
export function localPeersOf(findings: readonly Finding[]): readonly LocalPeer[] {
  const counted = new Set(
    findings
      .filter(({ verdict, also }) => [verdict, ...also].some((verdict) => verdict.verdict === 'stalled-sender'))
      .map(({ socket }) => socket),
  );
  return findings.flatMap(({ localPeer }) => {
    if (!localPeer || counted.has(localPeer.socket)) return [];
    counted.add(localPeer.socket);
    return [localPeer];
  });
}

/** Minimum time for which CPU shares are computed: CPU time has a resolution of a hundredth of a second. */
const MIN_SHARED_MS = 500;

/** Builds the finding of a socket with at least one verdict: holders, and pinned memory. */
export function findingOf(
  socket: SocketRecord,
  verdicts: readonly [Verdict, ...Verdict[]],
  observation: Observation,
  history: SocketHistory,
): Finding {
  const { holders, processes } = observation;
  const [verdict, ...also] = [...verdicts].sort(bySeverity) as [Verdict, ...Verdict[]];
  const descriptors = holders.byInode.get(socket.inode) ?? [];
  const unread = unreadBytes(socket);
  const stalls = verdicts.some((verdict) => verdict.verdict === 'stalled-sender');
  const { pinned, charge } = pinnedBy(socket, stalls, observation.host, history);
  return {
    socket,
    holders: descriptors,
    processes: descriptors.flatMap(({ pid }) => processes.get(pid) ?? []),
    ownerless: descriptors.length > 0 ? null : ownerlessReason(socket, holders.denied.length),
    acceptQueue: acceptQueueOf(history.listeners(socket), observation),
    otherEnd: socket.peerInode === 0 ? null : otherEnd(socket.peerInode, observation),
    localPeer: verdict.verdict === 'stalled-reader' ? localPeer(socket, observation, history) : null,
    waiting: (socket.waiting ?? []).filter((inode) => inode !== 0).map((inode) => otherEnd(inode, observation)),
    unread,
    unsent: socket.protocol === 'TCP' ? unsentBytes(socket) : 0,
    verdict,
    also,
    dropped: history.dropped(socket),
    droppedBefore: dropsAreLosses(socket.protocol) ? history.droppedBefore(socket) : null,
    grew: unread - unreadBytes(history.earlier(socket) ?? socket),
    cpuShare: cpuShare(observation, descriptors[0]),
    pinned,
    charge,
  };
}

function acceptQueueOf(listeners: readonly SocketRecord[], { holders, processes }: Observation): AcceptQueue | null {
  if (listeners.length === 0) return null;
  const byPid = new Map<number, Holder>();
  for (const { inode } of listeners)
    for (const holder of holders.byInode.get(inode) ?? []) {
      const known = byPid.get(holder.pid);
      const fds = [...(known?.fds ?? []), ...holder.fds];
      byPid.set(holder.pid, { ...holder, fds });
    }
  const sorted = [...byPid.values()].sort((a, b) => a.pid - b.pid);
  return { listeners, holders: sorted, processes: sorted.flatMap(({ pid }) => processes.get(pid) ?? []) };
}

function otherEnd(inode: number, { holders, processes }: Observation): OtherEnd {
  const holder = holders.byInode.get(inode)?.[0] ?? null;
  return { inode, holder, process: (holder && processes.get(holder.pid)) ?? null };
}

function localPeer(reader: SocketRecord, observation: Observation, history: SocketHistory): LocalPeer | null {
  const socket = history.tcpPeer(reader);
  const queue = socket && sendQueueOf(socket, observation.host);
  if (!queue) return null;
  return { ...otherEnd(socket.inode, observation), ...queue, socket, unsent: unsentBytes(socket) };
}

function cpuShare({ cpu }: Observation, owner: Holder | undefined): Finding['cpuShare'] {
  const time = owner && cpu.get(owner.pid);
  return time === undefined || time.withinMs < MIN_SHARED_MS
    ? null
    : {
        used: time.usedMs / time.withinMs,
        // The kernel accounts a wait when it ends, so it may have begun before the observation.
        waited: Math.min(1, time.waitedMs / time.withinMs),
      };
}

function ownerlessReason(socket: SocketRecord, denied: number): Finding['ownerless'] {
  if (isUnaccepted(socket)) return 'unaccepted';
  if (socket.inode === 0) return 'orphan';
  return denied > 0 ? 'denied' : 'none';
}
