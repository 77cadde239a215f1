import type { Entry } from './entry.js';

/** What is in a queue, and what becomes of that. */
export interface QueueFacts {
  /** What has come from the peer, what is to go there, what the kernel says of one's own packets. */
  readonly payload: 'received' | 'sent' | 'errors' | 'none';
  /**
   * What the close of a socket does: it frees them; TCP keeps them, without an owner, until the peer has
   * acknowledged everything (tcp_close in net/ipv4/tcp.c; kTLS sends what it still has first,
   * net/tls/tls_sw.c); SCTP sends them before it lets the association go (sctp_close in
   * net/sctp/socket.c).
   */
  readonly atClose: 'freed' | 'kept' | 'sent';
  /** Packets as they came: with headers, and what was sent twice is there twice. */
  readonly unsorted?: true;
  /** Its first skb may have been read in part; MPTCP's reader takes skbs over as they are. */
  readonly partlyRead?: true;
}

/** The queues of a sock, by the names of the answer and in its order. */
export const QUEUES = {
  receive: { payload: 'received', atClose: 'freed', partlyRead: true },
  outOfOrder: { payload: 'received', atClose: 'kept' },
  backlog: { payload: 'received', atClose: 'freed', unsorted: true },
  error: { payload: 'errors', atClose: 'kept' },
  write: { payload: 'sent', atClose: 'kept' },
  retransmit: { payload: 'sent', atClose: 'kept' },
  /** What TCP keeps beside its queues: to use it again, or for its options. */
  kept: { payload: 'none', atClose: 'freed' },
  /** UDP's and MPTCP's, of the process that reads. */
  reader: { payload: 'received', atClose: 'freed', partlyRead: true },
  /** Datagrams that CPUs have put down for UDP and nobody has queued yet. */
  producing: { payload: 'received', atClose: 'freed' },
  /** What MPTCP took from its subflows and has not put in order. */
  subflowBacklog: { payload: 'received', atClose: 'freed', unsorted: true },
  /** AF_PACKET's rings, which processes map. */
  rxRing: { payload: 'received', atClose: 'freed' },
  txRing: { payload: 'sent', atClose: 'freed' },
  /** kTLS: decrypted records, those whose decryption goes on, the one being put together. */
  tlsReceive: { payload: 'received', atClose: 'freed' },
  tlsHold: { payload: 'received', atClose: 'freed' },
  tlsRecord: { payload: 'received', atClose: 'freed' },
  tlsSend: { payload: 'sent', atClose: 'kept' },
  /** sockmap: skbs and messages on their way in or being put together, and a message held back. */
  ingressSkbs: { payload: 'received', atClose: 'freed' },
  ingressPart: { payload: 'received', atClose: 'freed' },
  ingressMessages: { payload: 'received', atClose: 'freed' },
  cork: { payload: 'sent', atClose: 'freed' },
  /** SCTP's: come in part or out of order, and not acknowledged. */
  sctpReceive: { payload: 'received', atClose: 'freed' },
  sctpSend: { payload: 'sent', atClose: 'sent' },
  /** AF_VSOCK's packets. */
  vsockReceive: { payload: 'received', atClose: 'freed' },
  /** AF_XDP: pages that user space lent. */
  umem: { payload: 'none', atClose: 'freed' },
  /** AF_ALG: what is to be encrypted or decrypted. */
  cipher: { payload: 'none', atClose: 'freed' },
  /** Queues that a family keeps in a way of its own, and that are not read. */
  own: { payload: 'none', atClose: 'freed' },
} as const satisfies Readonly<Record<string, QueueFacts>>;

export type QueueName = keyof typeof QUEUES;

export const QUEUE_NAMES = Object.keys(QUEUES) as [QueueName, ...QueueName[]];

/** What is known of a queue of this name. */
export function queueFacts(name: QueueName): QueueFacts {
  return QUEUES[name];
}

/** The queues of which something holds. */
export function queuesThat(holds: (facts: QueueFacts) => boolean): readonly QueueName[] {
  return QUEUE_NAMES.filter((name) => holds(QUEUES[name]));
}

/** A queue found on a sock: walks the addresses of its skbs, and what it holds besides; see walkQueue in ../queues.ts. */
export interface Queue {
  readonly name: QueueName;
  /** How many skbs the kernel says it holds, or undefined where it keeps no count. */
  readonly expected: number | undefined;
  readonly entries: () => Iterable<Entry>;
}

/** Protocols whose socks are a `struct udp_sock`. */
export const UDP: readonly string[] = ['UDP', 'UDPLITE'];

/** What is told of a sock to find its queues. */
export interface SockKind {
  readonly sock: bigint;
  readonly family: string;
  readonly type: string;
  readonly protocol: string;
  readonly state: string;
}

/** Finds queues that only some socks have. One that cannot be reached throws when it is walked. */
export interface QueueFinder {
  queues(sock: bigint): Queue[];
}
