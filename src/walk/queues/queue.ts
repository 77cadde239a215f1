import type { Entry } from './held.js';

/** The queues of a sock, by the names of the answer. */
export const QUEUE_NAMES = [
  'receive',
  'outOfOrder',
  'backlog',
  'error',
  'write',
  'retransmit',
  /** What TCP keeps beside its queues: to use it again, or for its options. */
  'kept',
  /** UDP's and MPTCP's, of the process that reads. */
  'reader',
  /** Datagrams that CPUs have put down for UDP and nobody has queued yet. */
  'producing',
  /** What MPTCP took from its subflows and has not put in order. */
  'subflowBacklog',
  /** AF_PACKET's rings, which processes map. */
  'rxRing',
  'txRing',
  /** kTLS: decrypted records, those whose decryption goes on, the one being put together. */
  'tlsReceive',
  'tlsHold',
  'tlsRecord',
  'tlsSend',
  /** sockmap: skbs and messages on their way in or being put together, and a message held back. */
  'ingressSkbs',
  'ingressPart',
  'ingressMessages',
  'cork',
  /** SCTP's: come in part or out of order, and not acknowledged. */
  'sctpReceive',
  'sctpSend',
  /** AF_VSOCK's packets. */
  'vsockReceive',
  /** AF_XDP: pages that user space lent. */
  'umem',
  /** AF_ALG: what is to be encrypted or decrypted. */
  'cipher',
  /** Queues that a family keeps in a way of its own, and that are not read. */
  'own',
] as const;

export type QueueName = (typeof QUEUE_NAMES)[number];

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
