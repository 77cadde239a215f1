import type { Observation } from '../host/observe.js';
import type { Holder } from '../host/proc/holders.js';
import type { ProcessRecord } from '../host/proc/process.js';
import { type SocketRecord, socketKey } from '../host/socket.js';
import { judge, type TrackWindow, unreadBytes } from './judge.js';
import { estimatePinned, type PinnedEstimate, sumPinned } from './pinned.js';
import type { Verdict } from './verdict.js';

/** One socket with unread data and all that is concluded about it. */
export interface Finding {
  readonly socket: SocketRecord;
  readonly holders: readonly Holder[];
  /** The processes of `holders`; one that ended meanwhile is not there. */
  readonly processes: readonly ProcessRecord[];
  /** Why `holders` is empty, when it is. */
  readonly ownerless: 'unaccepted' | 'orphan' | 'denied' | 'none' | null;
  /** Bytes: see `unreadBytes`. */
  readonly unread: number;
  readonly verdict: Verdict;
  /** Packets dropped between the samples (skmem `d`): for UDP what its queue had no room for. */
  readonly dropped: number;
  readonly pinned: PinnedEstimate;
}

export interface Diagnosis {
  /** Sockets with unread data: the stalled, the undecided, the others; what pins most first. */
  readonly findings: readonly Finding[];
  /** Sockets looked at (listening ones too). */
  readonly examined: number;
  readonly stalled: number;
  readonly undecided: number;
  readonly totals: { readonly unread: number; readonly pinned: PinnedEstimate };
}

/** Turns what was observed into verdicts. `minBytes`: less unread data than this is passed over. */
export function diagnose(observation: Observation, minBytes = 1): Diagnosis {
  const { first, holders, host, onlyInodes } = observation;
  const newest = observation.last ?? first;
  const mine = (socket: SocketRecord) => onlyInodes?.has(socket.inode) ?? true;
  const before = earlierSockets(first.sockets, newest.sockets);
  const unixByInode = new Map(
    newest.sockets.flatMap((socket) =>
      socket.protocol === 'UNIX' ? [[socket.inode, socket] as const] : [],
    ),
  );
  const findings: Finding[] = [];
  const charges = new Map<Finding, number>();
  let examined = 0;
  for (const socket of newest.sockets) {
    if (!mine(socket)) continue;
    examined++;
    const unread = unreadBytes(socket);
    if (unread < Math.max(1, minBytes)) continue;
    const key = socketKey(socket);
    const earlier = before.get(key);
    const held = holders.byInode.get(socket.inode) ?? [];
    const verdict = judge({
      first: earlier ? { ...first, socket: earlier } : null,
      last: observation.last ? { ...observation.last, socket } : null,
      windows: trackWindows(observation, socket, key),
    });
    const charge = chargeOf(socket, unixByInode.get(socket.peerInode));
    const finding: Finding = {
      socket,
      holders: held,
      processes: held.flatMap(({ pid }) => observation.processes.get(pid) ?? []),
      ownerless: held.length > 0 ? null : ownerless(socket, holders.denied.length),
      unread,
      verdict,
      dropped: Math.max(0, (socket.skmem?.drops ?? 0) - (earlier?.skmem?.drops ?? Infinity)),
      pinned: estimatePinned({
        protocol: socket.protocol,
        payload: socket.protocol === 'UDP' ? 0 : unread,
        charge,
        segments: segmentsOf(socket),
        payloadIsPart: payloadIsPart(socket),
        maxSkbFrags: host.maxSkbFrags,
        unplacedMemory: host.unplacedMemory,
      }),
    };
    findings.push(finding);
    charges.set(finding, charge ?? 2 * unread);
  }
  findings.sort(
    (a, b) =>
      RANK[a.verdict.verdict] - RANK[b.verdict.verdict] ||
      b.pinned.likely - a.pinned.likely ||
      b.unread - a.unread,
  );
  const stalled = findings.filter((each) => each.verdict.verdict === 'stalled-reader');
  return {
    findings,
    examined,
    stalled: stalled.length,
    undecided: findings.filter((each) => each.verdict.verdict === 'undecided').length,
    totals: {
      unread: stalled.reduce((sum, each) => sum + each.unread, 0),
      pinned: sumPinned(
        stalled.map((each) => each.pinned),
        stalled.reduce((sum, each) => sum + (charges.get(each) ?? 0), 0),
        host.unplacedMemory,
      ),
    },
  };
}

/** The sockets of the first sample that have unread data in the last one, by key. */
function earlierSockets(
  first: readonly SocketRecord[],
  last: readonly SocketRecord[],
): ReadonlyMap<string, SocketRecord> {
  const inodes = new Set<number>();
  for (const socket of last) if (socket.recvQ > 0) inodes.add(socket.inode);
  const byKey = new Map<string, SocketRecord>();
  for (const socket of first) if (inodes.has(socket.inode)) byKey.set(socketKey(socket), socket);
  return byKey;
}

const RANK = { 'stalled-reader': 0, undecided: 1, reading: 2 } as const;

/** data_segs_in has 32 bits: behind 4 GiB received it may have wrapped, and says nothing. */
function segmentsOf({ tcp }: SocketRecord): number {
  return tcp && tcp.bytesReceived !== null && tcp.bytesReceived < 2 ** 32 ? tcp.dataSegments : 0;
}

/** Out-of-order data and the backlog are charged, and are not in Recv-Q. */
function payloadIsPart({ protocol, tcp, skmem }: SocketRecord): boolean {
  if (protocol === 'TCP' && (!tcp || tcp.outOfOrder > 0)) return true;
  return !skmem || skmem.backlog > 0;
}

/**
 * What the kernel charges for the receive side. A unix stream's data is charged to its sender
 * (skb_set_owner_w), which has nowhere else to send it; a datagram's sender may have many.
 */
function chargeOf(socket: SocketRecord, peer: SocketRecord | undefined): number | null {
  if (!socket.skmem) return null;
  const own = socket.skmem.rmem + socket.skmem.backlog;
  if (socket.protocol !== 'UNIX') return own;
  if (socket.type === 'SOCK_DGRAM' || socket.peerInode === 0) return null;
  return peer?.skmem && peer.protocol === 'UNIX' ? own + peer.skmem.wmem : null;
}

function trackWindows(observation: Observation, socket: SocketRecord, key: string): TrackWindow[] {
  if (socket.protocol === 'TCP') return [];
  return observation.windows.flatMap((window) => {
    const recvQ = window.recvQ.get(key);
    if (!recvQ) return [];
    const still = (inode: number) => sideStill(observation, inode, window.still);
    return {
      startMs: window.startMs,
      endMs: window.endMs,
      recvQ,
      hiddenStill: observation.holders.denied.every((pid) => window.still.get(pid) === true),
      readersStill: still(socket.inode),
      writersStill:
        socket.type === 'SOCK_DGRAM' || socket.peerInode === 0 ? null : still(socket.peerInode),
    };
  });
}

/** Null when no holder is known. Whether others may be hidden from us is said apart. */
function sideStill(
  { holders }: Observation,
  inode: number,
  still: ReadonlyMap<number, boolean | null>,
): boolean | null {
  const held = holders.byInode.get(inode) ?? [];
  if (held.some(({ pid }) => still.get(pid) === false)) return false;
  if (held.length === 0) return null;
  return held.every(({ pid }) => still.get(pid) === true) ? true : null;
}

function ownerless(socket: SocketRecord, denied: number): Finding['ownerless'] {
  if (socket.inode === 0)
    return socket.state === 'ESTABLISHED' || socket.state === 'CLOSE-WAIT'
      ? 'unaccepted'
      : 'orphan';
  return denied > 0 ? 'denied' : 'none';
}
