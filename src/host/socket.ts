export const SOCKET_FAMILIES = [
  'AF_INET',
  'AF_INET6',
  'AF_UNIX',
  'AF_PACKET',
  'AF_NETLINK',
  'AF_VSOCK',
] as const;
export type SocketFamily = (typeof SOCKET_FAMILIES)[number];

export const SOCKET_TYPES = ['SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_SEQPACKET', 'SOCK_RAW'] as const;
export type SocketType = (typeof SOCKET_TYPES)[number];

export const SOCKET_PROTOCOLS = [
  'TCP',
  'UDP',
  'UNIX',
  'RAW',
  'PACKET',
  'NETLINK',
  'VSOCK',
  'MPTCP',
  'SCTP',
] as const;
export type SocketProtocol = (typeof SOCKET_PROTOCOLS)[number];

/** One socket as the host reports it. Sizes are bytes; text is as hostile as its makers like. */
export interface SocketRecord {
  readonly family: SocketFamily;
  readonly type: SocketType;
  readonly protocol: SocketProtocol;
  /** The inode of its network namespace, null where it is not known. */
  readonly netns: number | null;
  /** As ss spells it, with `ESTAB` written out as `ESTABLISHED`. */
  readonly state: string;
  /** `addr:port` (IPv6 in brackets, a zone as `%eth0`), or a unix path (`@…` when abstract). */
  readonly local: string;
  readonly peer: string;
  /** The socket's inode in sockfs, unique on the host; 0: no file, so no process can hold it. */
  readonly inode: number;
  /** Unix only: the inode of the other end, 0 where there is none. */
  readonly peerInode: number;
  /**
   * Unix listeners: the inodes of the clients whose connections wait to be accepted, oldest first; 0 is
   * one that has closed its end. Absent where it is not told. (UNIX_DIAG_ICONS of net/unix/diag.c.)
   */
  readonly waiting?: readonly number[];
  /**
   * The kernel's cookie (hex): never used twice since boot. Unix rows have none; where ss had to read
   * /proc/net (no `skmem` then) it is a number of its own, the same as long as the socket lives.
   */
  readonly cookie: string;
  /**
   * What Recv-Q counts depends: unread payload for TCP (plus one for an unread FIN) and for unix
   * streams; the length of the next datagram for unix datagrams; truesize for UDP, raw, packet and
   * netlink; the number of connections waiting to be accepted for LISTEN.
   */
  readonly recvQ: number;
  readonly sendQ: number;
  /** The path of the cgroup (v2), null where ss does not say. */
  readonly cgroup: string | null;
  readonly skmem: SocketMemory | null;
  readonly tcp: TcpInfo | null;
  /** The running timer of a TCP socket (`timer:(persist,1.2sec,3)`), null when none runs. */
  readonly timer: SocketTimer | null;
}

/** `skmem:(…)` of ss: SO_MEMINFO. Bytes, except `drops`. */
export interface SocketMemory {
  /** sk_rmem_alloc: truesize of what was received and is not freed (also out of order). */
  readonly rmem: number;
  readonly rcvbuf: number;
  /** sk_wmem_alloc: truesize of what was sent and is not freed. */
  readonly wmem: number;
  readonly sndbuf: number;
  readonly forward: number;
  readonly wmemQueued: number;
  readonly optmem: number;
  /** sk_backlog.len: truesize waiting for the owner of the socket's lock. */
  readonly backlog: number;
  /** sk_drops; null where it is not told (Linux before 4.7, iproute2 before 4.8). */
  readonly drops: number | null;
}

/** `on`: retransmission; `persist`: probing a window that the peer has closed; `keepalive`, … */
export interface SocketTimer {
  readonly kind: string;
  /** icsk_retransmits, or for `persist` icsk_probes_out: how often it has run out. */
  readonly expired: number;
}

/** What `ss -i` says of a TCP socket. */
export interface TcpInfo {
  /** tcpi_bytes_received, counts a FIN as one; null when it is not told or does not fit a double. */
  readonly bytesReceived: number | null;
  /** tcpi_last_data_recv: milliseconds since data last came in order. */
  readonly lastReceivedMs: number;
  /** tcpi_data_segs_in: segments with data that ever came, also duplicates; 0 when unknown. */
  readonly dataSegments: number;
  /** tcpi_rcv_mss: the kernel's estimate of the peer's segment size. */
  readonly rcvMss: number;
  /** tcpi_rcv_ooopack: packets that ever came out of order. */
  readonly outOfOrder: number;
  /** tcpi_bytes_acked: bytes that the peer has acknowledged; null as above. */
  readonly bytesAcked: number | null;
  /** tcpi_last_data_sent: milliseconds since data was last sent (probes are not data). */
  readonly lastSentMs: number;
  /** tcpi_notsent_bytes: written by the application, not sent. */
  readonly notSent: number;
}

/** A socket's identity across samples: what is closed and opened again gets another key. */
export function socketKey(socket: SocketRecord): string {
  return socket.protocol === 'UNIX'
    ? `unix ${socket.inode} ${socket.peerInode} ${socket.local}`
    : `${socket.protocol} ${socket.netns} ${socket.cookie} ${socket.inode} ${socket.local} ${socket.peer}`;
}

/**
 * Protocols whose Recv-Q is truesize and not payload: sk_rmem_alloc, also of MPTCP (mptcp_diag_get_info), and
 * what SCTP's association is charged (sctp_diag_get_info).
 */
export function queueIsTruesize(protocol: SocketProtocol): boolean {
  return dropsAreLosses(protocol) || protocol === 'MPTCP' || protocol === 'SCTP';
}

/** Protocols that nobody repeats for: what `sk_drops` counts never reaches a reader. */
export function dropsAreLosses(protocol: SocketProtocol): boolean {
  return (
    protocol === 'UDP' || protocol === 'RAW' || protocol === 'PACKET' || protocol === 'NETLINK'
  );
}
