export const SOCKET_FAMILIES = ['AF_INET', 'AF_INET6', 'AF_UNIX', 'AF_PACKET', 'AF_NETLINK', 'AF_VSOCK'] as const;
export type SocketFamily = (typeof SOCKET_FAMILIES)[number];

export const SOCKET_TYPES = ['SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_SEQPACKET', 'SOCK_RAW'] as const;
export type SocketType = (typeof SOCKET_TYPES)[number];

export const SOCKET_PROTOCOLS = ['TCP', 'UDP', 'UNIX', 'RAW', 'PACKET', 'NETLINK', 'VSOCK', 'MPTCP', 'SCTP'] as const;
export type SocketProtocol = (typeof SOCKET_PROTOCOLS)[number];

/** One socket as the host reports it. Sizes are bytes; text is hostile. */
export interface SocketRecord {
  readonly family: SocketFamily;
  readonly type: SocketType;
  readonly protocol: SocketProtocol;
  /** Inode of its network namespace, null if unknown. */
  readonly netns: number | null;
  /** Spelling of ss, except `ESTABLISHED` for `ESTAB`. */
  readonly state: string;
  /** `addr:port` (IPv6 in brackets, a zone as `%eth0`), or a unix path (`@…` if abstract). */
  readonly local: string;
  readonly peer: string;
  /** Inode in sockfs, unique on the host; 0: no file, so no process can hold it. */
  readonly inode: number;
  /** Unix only: the inode of the peer, 0 if there is none. */
  readonly peerInode: number;
  /**
   * Unix listeners: inodes of the clients whose connections wait to be accepted, oldest first; 0 for
   * one that has closed its end. Absent if unknown. (UNIX_DIAG_ICONS of net/unix/diag.c.)
   */
  readonly waiting?: readonly number[];
  /**
   * The kernel's cookie (hex): unique since boot. Unix rows have none; if ss had to read /proc/net (no
   * `skmem` then), it is another number, constant as long as the socket exists.
   */
  readonly cookie: string;
  /**
   * The meaning of Recv-Q varies: unread payload for TCP (plus one for an unread FIN) and for unix
   * streams; the length of the next datagram for unix datagrams; truesize for UDP, raw, packet and
   * netlink; the number of connections waiting to be accepted for LISTEN.
   */
  readonly recvQ: number;
  readonly sendQ: number;
  /** Path of the cgroup (v2), null if ss does not report it. */
  readonly cgroup: string | null;
  readonly skmem: SocketMemory | null;
  /** Bytes of the receive and transmit rings of a packet socket (PACKET_RX_RING); absent: none. */
  readonly ringBytes?: number;
  readonly tcp: TcpInfo | null;
  /** The running timer of a TCP socket (`timer:(persist,1.2sec,3)`), null when none runs. */
  readonly timer: SocketTimer | null;
}

/** `skmem:(…)` of ss: SO_MEMINFO. Bytes, except `drops`. */
export interface SocketMemory {
  /** sk_rmem_alloc: truesize of received data that is not freed (including out-of-order data). */
  readonly rmem: number;
  readonly rcvbuf: number;
  /** sk_wmem_alloc: truesize of sent data that is not freed. */
  readonly wmem: number;
  readonly sndbuf: number;
  readonly forward: number;
  readonly wmemQueued: number;
  readonly optmem: number;
  /** sk_backlog.len: truesize waiting for the owner of the socket's lock. */
  readonly backlog: number;
  /** sk_drops; null if not reported (Linux before 4.7, iproute2 before 4.8). */
  readonly drops: number | null;
}

/** `on`: retransmission; `persist`: probing a zero window of the peer; `keepalive`, … */
export interface SocketTimer {
  readonly kind: string;
  /** icsk_retransmits, or for `persist` icsk_probes_out: number of expirations. */
  readonly expired: number;
}

/** Details of a TCP socket in `ss -i`. */
export interface TcpInfo {
  /** tcpi_bytes_received, counts a FIN as one; null if not reported or too large for a double. */
  readonly bytesReceived: number | null;
  /** tcpi_last_data_recv: milliseconds since in-order data last arrived. */
  readonly lastReceivedMs: number;
  /** tcpi_data_segs_in: received segments with data, including duplicates; 0 if unknown. */
  readonly dataSegments: number;
  /** tcpi_rcv_mss: the kernel's estimate of the peer's segment size. */
  readonly rcvMss: number;
  /** tcpi_rcv_ooopack: packets received out of order. */
  readonly outOfOrder: number;
  /** tcpi_bytes_acked: bytes that the peer has acknowledged; null as above. */
  readonly bytesAcked: number | null;
  /** tcpi_last_data_sent: milliseconds since data was last sent (probes are not data). */
  readonly lastSentMs: number;
  /** tcpi_notsent_bytes: written by the application, but not sent. */
  readonly notSent: number;
}

/** A socket's identity across samples: a socket that is closed and reopened gets another key. */
export function socketKey(socket: SocketRecord): string {
  return socket.protocol === 'UNIX'
    ? `unix ${socket.inode} ${socket.peerInode} ${socket.local}`
    : `${socket.protocol} ${socket.netns} ${socket.cookie} ${socket.inode} ${socket.local} ${socket.peer}`;
}

/**
 * Whether Recv-Q is truesize rather than payload: sk_rmem_alloc, also of MPTCP (mptcp_diag_get_info),
 * and the memory charged to SCTP's association (sctp_diag_get_info).
 */
export function queueIsTruesize(protocol: SocketProtocol): boolean {
  return dropsAreLosses(protocol) || protocol === 'MPTCP' || protocol === 'SCTP';
}

/** Whether the protocol does not retransmit: what `sk_drops` counts never reaches a reader. */
export function dropsAreLosses(protocol: SocketProtocol): boolean {
  return protocol === 'UDP' || protocol === 'RAW' || protocol === 'PACKET' || protocol === 'NETLINK';
}

/**
 * Whether a connection is not accepted yet: it has no file, so no process can hold it. An orphan has no
 * inode either, but is closed on this side, which its state shows.
 */
export function isUnaccepted({ inode, type, state, protocol }: SocketRecord): boolean {
  return (
    inode === 0 &&
    type !== 'SOCK_DGRAM' &&
    type !== 'SOCK_RAW' &&
    protocol !== 'UNIX' &&
    (state === 'ESTABLISHED' || state === 'CLOSE-WAIT')
  );
}

/**
 * Finds the listener in whose accept queue a connection waits, among the sockets of one sample. Like the
 * kernel, prefers a listener bound to the address over one bound to all addresses (inet_lhash2_lookup).
 */
export class AcceptQueues {
  readonly #byPort = new Map<string, SocketRecord[]>();

  constructor(sockets: readonly SocketRecord[]) {
    for (const socket of sockets) {
      if (socket.state !== 'LISTEN' || socket.recvQ === 0 || socket.protocol === 'UNIX') continue;
      const key = portKey(socket);
      const known = this.#byPort.get(key);
      if (known) known.push(socket);
      else this.#byPort.set(key, [socket]);
    }
  }

  /**
   * Listeners in whose queue the connection may wait: several can share a port by SO_REUSEPORT, and the one
   * with the connection is not reported. Empty for an accepted connection, and if no listener is known.
   */
  of(connection: SocketRecord): readonly SocketRecord[] {
    if (!isUnaccepted(connection)) return [];
    const listeners = this.#byPort.get(portKey(connection)) ?? [];
    const address = addressOf(connection);
    const own = listeners.filter((listener) => addressOf(listener) === address);
    return own.length > 0 ? own : listeners.filter((listener) => isAnywhere(listener, address));
  }
}

/**
 * Whether a socket is one of these (null: all are), or a connection in the queue of one of them: it
 * belongs to the process that will accept it.
 */
export function belongsTo(inodes: ReadonlySet<number> | null, queues: AcceptQueues) {
  return (socket: SocketRecord): boolean =>
    inodes === null || inodes.has(socket.inode) || queues.of(socket).some(({ inode }) => inodes.has(inode));
}

/** `*` means both families in ss; /proc/net has `[::]` for that. */
function isAnywhere(listener: SocketRecord, address: string): boolean {
  const bound = addressOf(listener);
  if (bound === '*') return true;
  return bound === (address.startsWith('[') ? '[::]' : '0.0.0.0');
}

/** The address without port and zone. */
function addressOf({ local }: SocketRecord): string {
  return local.slice(0, local.lastIndexOf(':')).replace(/%[^\]]*/, '');
}

function portKey({ netns, protocol, local }: SocketRecord): string {
  return `${netns} ${protocol} ${local.slice(local.lastIndexOf(':') + 1)}`;
}

/**
 * Finds the peer socket of a connection among the sockets of this host: unix sockets name their peers;
 * TCP peers have swapped addresses, in the same network namespace or, if only one socket matches, in
 * another; loopback addresses only in the same one.
 */
export class OtherEnds {
  readonly #unix = new Map<number, SocketRecord>();
  readonly #tcp = new Map<string, SocketRecord[]>();

  constructor(sockets: readonly SocketRecord[]) {
    for (const socket of sockets) {
      if (socket.protocol === 'UNIX') this.#unix.set(socket.inode, socket);
      else if (socket.protocol === 'TCP') {
        const key = `${plain(socket.local)} ${plain(socket.peer)}`;
        const known = this.#tcp.get(key);
        if (known) known.push(socket);
        else this.#tcp.set(key, [socket]);
      }
    }
  }

  of(socket: SocketRecord): SocketRecord | null {
    if (socket.protocol === 'UNIX') {
      const end = this.#unix.get(socket.peerInode);
      return end && socket.peerInode !== 0 && end !== socket ? end : null;
    }
    const peers = (this.#tcp.get(`${plain(socket.peer)} ${plain(socket.local)}`) ?? []).filter((end) => end !== socket);
    const near = peers.filter(({ netns }) => netns === socket.netns);
    if (near.length > 0 || isLoopback(socket.local)) return near.length === 1 ? (near[0] ?? null) : null;
    return peers.length === 1 ? (peers[0] ?? null) : null;
  }
}

function isLoopback(address: string): boolean {
  return /^(?:127\.|\[::1\])/.test(plain(address));
}

/** Converts an IPv4-mapped IPv6 address to IPv4, and removes the zone. */
function plain(address: string): string {
  return address.replace(/^\[::ffff:([\d.]+)\]/, '$1').replace(/%[^\]:]*/, '');
}
