import type { OutsideCode } from '../../account/outside-queues/row.js';
import type { QueueName } from '../../records/queues.js';
import type { Explanation, Explanations } from './schema.js';

const READ = 'Make the process read, or close the socket.';
const PEER = 'Check whether the peer receives data, and the network path to it.';
const NOTHING = 'None, unless it is large.';

const queue = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem skb',
});

/** The queues of a socket. */
export const QUEUES_EXPLAINED: Explanations<QueueName> = {
  receive: queue('Received data that the process has not read.', 'sk_receive_queue of struct sock.', READ),
  outOfOrder: queue(
    'Data received out of order: it cannot be read until missing data arrives.',
    'out_of_order_queue of struct tcp_sock.',
    'Packets are lost on the path: check the network.',
  ),
  backlog: queue('Packets received while a process held the socket lock.', 'sk_backlog of struct sock.', NOTHING),
  error: queue(
    'Errors, timestamps and zerocopy completions for the process.',
    'sk_error_queue of struct sock.',
    'Make the process read with MSG_ERRQUEUE.',
  ),
  write: queue('Data that the process wrote and the kernel has not sent.', 'sk_write_queue of struct sock.', PEER),
  retransmit: queue('Sent data that the peer has not acknowledged.', 'tcp_rtx_queue of struct sock.', PEER),
  kept: queue(
    'Skbs that TCP keeps outside its queues, for reuse or for its options.',
    'sk_tx_skb_cache and sk_rx_skb_cache of struct sock, and fields of struct tcp_sock.',
    NOTHING,
  ),
  reader: queue(
    'Data moved from the receive queue to the reader’s queue, and not read.',
    'reader_queue of struct udp_sock; receive queue of struct mptcp_sock.',
    READ,
  ),
  producing: queue(
    'Datagrams that CPUs have received and not yet moved to the receive queue.',
    'udp_prod_queue of struct udp_sock.',
    NOTHING,
  ),
  subflowBacklog: queue(
    'Data that MPTCP received on its subflows and has not put in order.',
    'backlog_list of struct mptcp_sock.',
    READ,
  ),
  rxRing: queue(
    'An AF_PACKET receive ring, mapped by the process.',
    'rx_ring of struct packet_sock.',
    'Configure a smaller ring, or close the socket.',
  ),
  txRing: queue(
    'An AF_PACKET transmit ring, mapped by the process.',
    'tx_ring of struct packet_sock.',
    'Configure a smaller ring, or close the socket.',
  ),
  tlsReceive: queue(
    'Records that kTLS has decrypted and the process has not read.',
    'rx_list of struct tls_sw_context_rx.',
    READ,
  ),
  tlsHold: queue('Records that kTLS is decrypting.', 'async_hold of struct tls_sw_context_rx.', NOTHING),
  tlsRecord: queue('The record that kTLS is assembling.', 'The strparser of struct tls_sw_context_rx.', NOTHING),
  tlsSend: queue('Records that kTLS has not sent.', 'tx_list of struct tls_sw_context_tx.', PEER),
  ingressSkbs: queue('Packets that a sockmap redirected to this socket.', 'ingress_skb of struct sk_psock.', READ),
  ingressPart: queue('A message that a sockmap’s parser is assembling.', 'The strparser of struct sk_psock.', NOTHING),
  ingressMessages: queue(
    'Messages that a sockmap redirected to this socket and the process has not read.',
    'ingress_msg of struct sk_psock.',
    READ,
  ),
  cork: queue(
    'A message that a sockmap’s BPF program has corked.',
    'cork of struct sk_psock.',
    'See the BPF program: it waits for more bytes (bpf_msg_cork_bytes).',
  ),
  sctpReceive: queue(
    'SCTP data received in part or out of order.',
    'ulpq and streams of struct sctp_association.',
    READ,
  ),
  sctpSend: queue('SCTP data that the peer has not acknowledged.', 'outqueue of struct sctp_association.', PEER),
  vsockReceive: queue('AF_VSOCK packets that the process has not read.', 'rx_queue of struct virtio_vsock_sock.', READ),
  umem: queue(
    'Pages that user space registered with AF_XDP.',
    'struct xdp_umem.',
    'They are freed when the process closes the socket and unmaps them.',
  ),
  cipher: queue(
    'Data to be encrypted or decrypted (AF_ALG).',
    'The lists of struct af_alg_ctx.',
    'Make the process read the result.',
  ),
  own: queue(
    'Queues specific to an address family. They are not supported, and not counted.',
    'The family of the socket.',
    'Use the tools of that address family.',
  ),
};

const SOCKETS = 'kdump-mem sockets -v';

/** @param means what is counted @param known its source */
const row = (means: string, known: string, next: string): Explanation => ({ means, known, next, deeper: SOCKETS });

const slab = (what: string, cache: string): Explanation =>
  row(
    `Slab objects of ${what} that are in no queue and no other row: packets being processed, a leak, or other objects in a merged cache.`,
    `Allocated objects of ${cache} (mm/slub.c), without those in per-CPU caches.`,
    'If the number is large and keeps growing, suspect a leak in a network driver or module.',
  );

/** Rows of network memory outside socket queues (docs/internals/architecture.md). */
export const OUTSIDE_QUEUES: Explanations<OutsideCode> = {
  'cpu-queues': row(
    'Packets in the per-CPU backlog, and packets that a CPU has yet to free.',
    'The lists of softnet_data of each CPU (net/core/dev.c).',
    'Many packets mean that a CPU does not run its softirqs: see its stack.',
  ),
  qdiscs: row(
    'Packets in queueing disciplines, ready for transmission.',
    'Queues of the Qdiscs of all devices (net/sched).',
    'Many packets mean that the device or its rate limit is too slow: see tc -s qdisc.',
  ),
  'ip-fragments': row(
    'IP fragments whose other fragments are missing.',
    'The tables of inet_frags of each network namespace (net/ipv4/inet_fragment.c).',
    'Many fragments mean packet loss on the path, or an attack.',
  ),
  neighbours: row(
    'Packets queued until a neighbour’s address is resolved (ARP, NDP).',
    'arp_queue of each neighbour (net/core/neighbour.c).',
    'Many packets mean traffic to hosts that do not answer.',
  ),
  gro: row(
    'Packets that devices hold to merge them with others (GRO).',
    'NAPI instances of each device (net/core/gro.c).',
    'None: NAPI flushes them within one poll.',
  ),
  'page-fragments': row(
    'Pages that CPUs, tasks and sockets hold to allocate packet fragments from.',
    'page_frag_cache of CPUs, task_frag of tasks, sk_frag of sockets.',
    'None: there is at most one such page per CPU, task and socket.',
  ),
  'page-pools': row(
    'Pages that drivers’ page pools own: in rings, in flight, and cached for reuse.',
    'The page pool signature in struct page (pp_magic; net/core/page_pool.c).',
    'Pages that stay in flight outside all queues are a leak: the kernel logs "stalled pool shutdown".',
  ),
  'receive-rings': row(
    'Receive buffers that a driver has posted to its device.',
    'The rings of supported drivers; the rings of others are reported as not counted.',
    'If this is too much, shrink the ring (ethtool -G) or reduce the number of queues.',
  ),
  rings: row(
    'Packets queued for the reader of a software device (tun, tap).',
    'ptr_ring of the device’s queues (drivers/net/tun.c, drivers/net/tap.c).',
    'Find the process that has /dev/net/tun open and does not read.',
  ),
  'xdp-rings': row(
    'Rings of AF_XDP sockets.',
    'xsk_queue of each socket (net/xdp).',
    'None: the program chose their size.',
  ),
  skbs: slab('skbs', 'skbuff_head_cache'),
  'skb-fclones': slab('skbs with fast clones (used by TCP)', 'skbuff_fclone_cache'),
  'skb-heads': slab('small skb heads', 'skbuff_small_head'),
  'other-pages': row(
    'Allocated pages with no known owner: an upper bound for network memory that is not listed.',
    'Counters of the page allocator, minus all pages with a known use.',
    'See the memory breakdown by page: kdump-mem memory.',
  ),
};
