/** Content of a queue, and its fate. */
export interface QueueFacts {
  /** Received data, data to send, or reports of the kernel about our own packets. */
  readonly payload: 'received' | 'sent' | 'errors' | 'none';
  /**
   * Effect of closing the socket on the queued data. `freed`: the kernel frees it. `kept`: TCP keeps it,
   * without an owner, until the peer has acknowledged everything (tcp_close in net/ipv4/tcp.c; kTLS first
   * sends its remaining data, net/tls/tls_sw.c). `sent`: SCTP sends it before it releases the association
   * (sctp_close in net/sctp/socket.c).
   */
  readonly atClose: 'freed' | 'kept' | 'sent';
  /** Raw packets: with headers, and with retransmitted duplicates. */
  readonly unsorted?: true;
  /** Its first skb may be partly read; MPTCP's reader queue takes over skbs as they are. */
  readonly partlyRead?: true;
}

/** The queues of a sock, with their names in the output, in output order. */
export const QUEUES = {
  receive: { payload: 'received', atClose: 'freed', partlyRead: true },
  outOfOrder: { payload: 'received', atClose: 'kept' },
  backlog: { payload: 'received', atClose: 'freed', unsorted: true },
  error: { payload: 'errors', atClose: 'kept' },
  write: { payload: 'sent', atClose: 'kept' },
  retransmit: { payload: 'sent', atClose: 'kept' },
  /** Memory that TCP keeps beside its queues: for reuse, or for its options. */
  kept: { payload: 'none', atClose: 'freed' },
  /** Reader queue of UDP and MPTCP, filled by the reading process. */
  reader: { payload: 'received', atClose: 'freed', partlyRead: true },
  /** UDP datagrams in per-NUMA-node lists that are not queued yet. */
  producing: { payload: 'received', atClose: 'freed' },
  /** Data that MPTCP took from its subflows and has not ordered yet. */
  subflowBacklog: { payload: 'received', atClose: 'freed', unsorted: true },
  /** AF_PACKET rings, which processes map. */
  rxRing: { payload: 'received', atClose: 'freed' },
  txRing: { payload: 'sent', atClose: 'freed' },
  /** kTLS: decrypted records, records being decrypted, and the one being assembled. */
  tlsReceive: { payload: 'received', atClose: 'freed' },
  tlsHold: { payload: 'received', atClose: 'freed' },
  tlsRecord: { payload: 'received', atClose: 'freed' },
  tlsSend: { payload: 'sent', atClose: 'kept' },
  /** sockmap: incoming skbs and messages, messages being assembled, and a corked message. */
  ingressSkbs: { payload: 'received', atClose: 'freed' },
  ingressPart: { payload: 'received', atClose: 'freed' },
  ingressMessages: { payload: 'received', atClose: 'freed' },
  cork: { payload: 'sent', atClose: 'freed' },
  /** SCTP: messages received incompletely or out of order, and unacknowledged messages. */
  sctpReceive: { payload: 'received', atClose: 'freed' },
  sctpSend: { payload: 'sent', atClose: 'sent' },
  /** AF_VSOCK packets. */
  vsockReceive: { payload: 'received', atClose: 'freed' },
  /** AF_XDP: pages provided by user space. */
  umem: { payload: 'none', atClose: 'freed' },
  /** AF_ALG: data to encrypt or decrypt. */
  cipher: { payload: 'none', atClose: 'freed' },
  /** Family-specific queues that are not supported. */
  own: { payload: 'none', atClose: 'freed' },
} as const satisfies Readonly<Record<string, QueueFacts>>;

export type QueueName = keyof typeof QUEUES;

export const QUEUE_NAMES = Object.keys(QUEUES) as [QueueName, ...QueueName[]];

/** Facts about a queue of this name. */
export function queueFacts(name: QueueName): QueueFacts {
  return QUEUES[name];
}

/** The queues with some property. */
export function queuesThat(holds: (facts: QueueFacts) => boolean): readonly QueueName[] {
  return QUEUE_NAMES.filter((name) => holds(QUEUES[name]));
}
