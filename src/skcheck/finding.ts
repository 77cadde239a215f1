import { isUnaccepted } from '../host/accept-queues.js';
import type { Observation } from '../host/observation.js';
import type { Holder } from '../host/proc/holders.js';
import type { ProcessRecord } from '../host/proc/process.js';
import { dropsAreLosses, type SocketRecord } from '../host/socket.js';
import { unreadBytes } from './judge.js';
import { unsentBytes } from './judge-sender.js';
import type { PinnedEstimate } from './pinned.js';
import { pinnedBy, type SocketPinned, sendQueueOf } from './pinned-by-socket.js';
import type { SocketHistory } from './socket-history.js';
import { bySeverity, type Verdict } from './verdict.js';

/** One socket with something to say of, and all that is concluded about it. */
export interface Finding {
  readonly socket: SocketRecord;
  readonly holders: readonly Holder[];
  /** The processes of `holders`; one that ended meanwhile is not there. */
  readonly processes: readonly ProcessRecord[];
  /** Why `holders` is empty, when it is. */
  readonly ownerless: 'unaccepted' | 'orphan' | 'denied' | 'none' | null;
  /** Where it waits to be accepted; null for what is accepted, and where no listener is known. */
  readonly acceptQueue: AcceptQueue | null;
  /** Unix: the other end, null where there is none. */
  readonly otherEnd: OtherEnd | null;
  /** Stalled TCP readers: the other end, where that is a socket of this host with data in its send queue. */
  readonly localPeer: LocalPeer | null;
  /** Unix listeners: the clients that wait to be accepted and are known, oldest first. */
  readonly waiting: readonly OtherEnd[];
  /** Bytes: see `unreadBytes`. */
  readonly unread: number;
  /** Bytes sent or written that the peer has not acknowledged; 0 for what is not TCP. */
  readonly unsent: number;
  /** The worst of what is wrong. */
  readonly verdict: Verdict;
  /** What else is wrong. */
  readonly also: readonly Verdict[];
  /** Packets dropped between the samples (skmem `d`): for UDP what its queue had no room for. */
  readonly dropped: number;
  /**
   * Packets dropped before the first sample where none was dropped since; `watchedMs` is null where one
   * sample, or a socket that the first one lacks, does not show when. Null: no packet, or not known.
   */
  readonly droppedBefore: { readonly packets: number; readonly watchedMs: number | null } | null;
  /** By how much the unread data became more between the samples; negative: less. */
  readonly grew: number;
  /**
   * How much of the time since the first sample the first holder ran on a CPU at least (1 is one CPU's
   * whole time), and how much of it its main thread waited for one; null: not known.
   */
  readonly cpuShare: { readonly used: number; readonly waited: number } | null;
  readonly pinned: PinnedEstimate;
}

/** The listener that has not accepted a connection, and who has that open. */
export interface AcceptQueue {
  /** One, or all that share its port (SO_REUSEPORT): which of them has the connection is not told. */
  readonly listeners: readonly SocketRecord[];
  /** Of all of `listeners`. */
  readonly holders: readonly Holder[];
  readonly processes: readonly ProcessRecord[];
}

/** A unix socket that another one is, or wants to be, connected to. */
export interface OtherEnd {
  readonly inode: number;
  /** Of its holders the one with the lowest pid; null when none is known. */
  readonly holder: Holder | null;
  /** Null when there is none, or it ended meanwhile. */
  readonly process: ProcessRecord | null;
}

/** The socket at the other end of a TCP connection, and what its send queue keeps until the reader reads or exits. */
export interface LocalPeer extends OtherEnd, SocketPinned {
  readonly socket: SocketRecord;
  /** Bytes sent or written that the reader's end has not acknowledged. */
  readonly unsent: number;
}

/**
 * The local peers of these findings, each once, without those whose send queue is already in the
 * `pinned` of a finding among them.
 */
export function localPeersOf(findings: readonly Finding[]): readonly LocalPeer[] {
  const counted = new Set(
    findings
      .filter(({ verdict, also }) =>
        [verdict, ...also].some((each) => each.verdict === 'stalled-sender'),
      )
      .map(({ socket }) => socket),
  );
  return findings.flatMap(({ localPeer }) => {
    if (!localPeer || counted.has(localPeer.socket)) return [];
    counted.add(localPeer.socket);
    return [localPeer];
  });
}

/** A share of less time than this says nothing: CPU time is told in hundredths of a second. */
const LEAST_SHARED_MS = 500;

/** A socket with what is wrong with it (one verdict at least), who holds it, and what it pins. */
export function findingOf(
  socket: SocketRecord,
  verdicts: readonly [Verdict, ...Verdict[]],
  observation: Observation,
  history: SocketHistory,
): { readonly finding: Finding; readonly charge: number } {
  const { holders, processes } = observation;
  const [verdict, ...also] = [...verdicts].sort(bySeverity) as [Verdict, ...Verdict[]];
  const held = holders.byInode.get(socket.inode) ?? [];
  const unread = unreadBytes(socket);
  const stalls = verdicts.some((each) => each.verdict === 'stalled-sender');
  const { pinned, charge } = pinnedBy(socket, stalls, observation.host, history);
  return {
    charge,
    finding: {
      socket,
      holders: held,
      processes: held.flatMap(({ pid }) => processes.get(pid) ?? []),
      ownerless: held.length > 0 ? null : whyOwnerless(socket, holders.denied.length),
      acceptQueue: acceptQueueOf(history.listeners(socket), observation),
      otherEnd: socket.peerInode === 0 ? null : otherEnd(socket.peerInode, observation),
      localPeer:
        verdict.verdict === 'stalled-reader' ? localPeer(socket, observation, history) : null,
      waiting: (socket.waiting ?? [])
        .filter((inode) => inode !== 0)
        .map((inode) => otherEnd(inode, observation)),
      unread,
      unsent: socket.protocol === 'TCP' ? unsentBytes(socket) : 0,
      verdict,
      also,
      dropped: history.dropped(socket),
      droppedBefore: dropsAreLosses(socket.protocol) ? history.droppedBefore(socket) : null,
      grew: unread - unreadBytes(history.earlier(socket) ?? socket),
      cpuShare: cpuShare(observation, held[0]),
      pinned,
    },
  };
}

function acceptQueueOf(
  listeners: readonly SocketRecord[],
  { holders, processes }: Observation,
): AcceptQueue | null {
  if (listeners.length === 0) return null;
  const byPid = new Map<number, Holder>();
  for (const { inode } of listeners)
    for (const holder of holders.byInode.get(inode) ?? []) {
      const known = byPid.get(holder.pid);
      const fds = [...(known?.fds ?? []), ...holder.fds];
      byPid.set(holder.pid, { ...holder, fds });
    }
  const held = [...byPid.values()].sort((a, b) => a.pid - b.pid);
  return {
    listeners,
    holders: held,
    processes: held.flatMap(({ pid }) => processes.get(pid) ?? []),
  };
}

function otherEnd(inode: number, { holders, processes }: Observation): OtherEnd {
  const holder = holders.byInode.get(inode)?.[0] ?? null;
  return { inode, holder, process: (holder && processes.get(holder.pid)) ?? null };
}

function localPeer(
  reader: SocketRecord,
  observation: Observation,
  history: SocketHistory,
): LocalPeer | null {
  const socket = history.tcpPeer(reader);
  const queue = socket && sendQueueOf(socket, observation.host);
  if (!queue) return null;
  return { ...otherEnd(socket.inode, observation), ...queue, socket, unsent: unsentBytes(socket) };
}

function cpuShare({ cpu }: Observation, owner: Holder | undefined): Finding['cpuShare'] {
  const time = owner && cpu.get(owner.pid);
  return time === undefined || time.withinMs < LEAST_SHARED_MS
    ? null
    : {
        used: time.usedMs / time.withinMs,
        // The kernel counts a wait when it ends, so that it may have begun before we looked.
        waited: Math.min(1, time.waitedMs / time.withinMs),
      };
}

function whyOwnerless(socket: SocketRecord, denied: number): Finding['ownerless'] {
  if (isUnaccepted(socket)) return 'unaccepted';
  if (socket.inode === 0) return 'orphan';
  return denied > 0 ? 'denied' : 'none';
}
