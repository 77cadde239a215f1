import type { InFlight, Observation } from '../host/observation.js';
import { AcceptQueues, belongsTo, isUnaccepted, queueIsTruesize, type SocketRecord } from '../host/socket.js';
import { unreadBytes } from './judge.js';
import { type PinnedEstimate, pinnedBy, sumPinned } from './pinned.js';
import { SocketHistory } from './socket-history.js';

/**
 * Owners of sockets: a process, none for orphans (TCP sockets that are closed here and keep unacknowledged data), or
 * unknown: in flight in an SCM_RIGHTS message, of the kernel, or of a process that is not readable.
 */
export const SOCKET_OWNERS = ['process', 'orphans', 'unknown'] as const;

/** Memory of the sockets of one owner, whether they are read or not. Bytes. */
export interface SocketMemoryOf {
  readonly kind: (typeof SOCKET_OWNERS)[number];
  /** Null: no process. */
  readonly pid: number | null;
  /** Untrusted. */
  readonly comm: string | null;
  readonly sockets: number;
  /** Queues and rings. */
  readonly pinned: PinnedEstimate;
  /** Data in queues whose payload the kernel reports. */
  readonly payload: number;
  /** Charge of the other queues, overhead included: see `queueIsTruesize`. */
  readonly charged: number;
  /** Part of `pinned`: rings of packet sockets, which are allocated in full. */
  readonly rings: number;
  /** For sockets of an unknown owner: the unix socket with the most descriptors that its process has not received. */
  readonly inFlight: InFlight | null;
  /** The socket that pins most. */
  readonly largest: SocketRecord;
}

interface Sum {
  readonly kind: SocketMemoryOf['kind'];
  readonly pid: number | null;
  readonly estimates: PinnedEstimate[];
  charge: number;
  payload: number;
  charged: number;
  rings: number;
  largest: SocketRecord;
  most: number;
}

/** Returns the memory of all sockets by owner, the largest first. A socket of several processes is that of the lowest pid. */
export function socketMemory(observation: Observation): SocketMemoryOf[] {
  const { host, holders, processes, onlyInodes, scmFds } = observation;
  const { sockets } = observation.last ?? observation.first;
  const history = new SocketHistory(observation);
  const belongs = belongsTo(onlyInodes, new AcceptQueues(sockets));
  const sums = new Map<string, Sum>();
  for (const socket of sockets) {
    if (!belongs(socket)) continue;
    const { pinned, charge } = pinnedBy(socket, true, host, history);
    const { ringBytes: rings = 0 } = socket;
    if (pinned.high === 0 && rings === 0) continue;
    const inodes = [socket, ...history.listeners(socket)].map(({ inode }) => inode);
    const pids = inodes.flatMap((inode) => (holders.byInode.get(inode) ?? []).map(({ pid }) => pid));
    const pid = pids.length === 0 ? null : pids.reduce((a, b) => Math.min(a, b));
    const kind = pid !== null ? 'process' : isOrphan(socket) ? 'orphans' : 'unknown';
    const most = pinned.likely + rings;
    const empty = {
      kind,
      pid,
      estimates: [],
      charge: 0,
      payload: 0,
      charged: 0,
      rings: 0,
      largest: socket,
      most,
    } as const;
    const sum: Sum = sums.get(`${kind} ${pid}`) ?? { ...empty, estimates: [] };
    sums.set(`${kind} ${pid}`, sum);
    sum.estimates.push(pinned);
    sum.charge += charge;
    sum.rings += rings;
    if (socket.state !== 'LISTEN' && queueIsTruesize(socket.protocol)) sum.charged += socket.recvQ;
    else if (socket.state !== 'LISTEN') sum.payload += unreadBytes(socket) + socket.sendQ;
    if (most > sum.most) [sum.largest, sum.most] = [socket, most];
  }
  const [passed = null] = [...scmFds].sort((a, b) => b.descriptors - a.descriptors);
  const owners = [...sums.values()].map(({ kind, pid, estimates, charge, payload, charged, rings, largest }) => {
    const queued = sumPinned(estimates, charge, host);
    const withRings = (bytes: number) => bytes + rings;
    return {
      kind,
      pid,
      comm: pid === null ? null : (processes.get(pid)?.comm ?? null),
      sockets: estimates.length,
      pinned: {
        low: withRings(queued.low),
        likely: withRings(queued.likely),
        high: withRings(queued.high),
        atMost: queued.atMost === null ? null : withRings(queued.atMost),
      },
      payload,
      charged,
      rings,
      inFlight: kind === 'unknown' ? passed : null,
      largest,
    };
  });
  return owners.sort((a, b) => b.pinned.likely - a.pinned.likely);
}

/** Whether a TCP socket is closed on this side, and no process can have it: tcp_close, sock_orphan. */
function isOrphan(socket: SocketRecord): boolean {
  return socket.protocol === 'TCP' && socket.inode === 0 && !isUnaccepted(socket);
}
