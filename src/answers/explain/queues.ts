import type { QueueName } from '../../walk/queues/queue.js';
import type { Explanation, Explanations } from './explanation.js';

const READ = 'Make the process read, or close the socket.';
const PEER = 'Check whether the peer receives data, and the network path to it.';
const NOTHING = 'Nothing, unless it is large.';

const queue = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem skb',
});

/** The queues of a socket. */
export const QUEUES_EXPLAINED: Explanations<QueueName> = {
  receive: queue(
    'Received data that the process has not read.',
    'sk_receive_queue of struct sock.',
    READ,
  ),
  outOfOrder: queue(
    'Data received out of order: it cannot be read until missing data arrives.',
    'out_of_order_queue of struct tcp_sock.',
    'Packets are lost on the path: check the network.',
  ),
  backlog: queue(
    'Packets received while a process held the socket lock.',
    'sk_backlog of struct sock.',
    NOTHING,
  ),
  error: queue(
    'Errors, timestamps and zerocopy completions for the process.',
    'sk_error_queue of struct sock.',
    'Make the process read with MSG_ERRQUEUE.',
  ),
  write: queue(
    'Data that the process wrote and the kernel has not sent.',
    'sk_write_queue of struct sock.',
    PEER,
  ),
  retransmit: queue(
    'Sent data that the peer has not acknowledged.',
    'tcp_rtx_queue of struct sock.',
    PEER,
  ),
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
  tlsHold: queue(
    'Records that kTLS is decrypting.',
    'async_hold of struct tls_sw_context_rx.',
    NOTHING,
  ),
  tlsRecord: queue(
    'The record that kTLS is assembling.',
    'The strparser of struct tls_sw_context_rx.',
    NOTHING,
  ),
  tlsSend: queue('Records that kTLS has not sent.', 'tx_list of struct tls_sw_context_tx.', PEER),
  ingressSkbs: queue(
    'Packets that a sockmap redirected to this socket.',
    'ingress_skb of struct sk_psock.',
    READ,
  ),
  ingressPart: queue(
    'A message that a sockmap’s parser is assembling.',
    'The strparser of struct sk_psock.',
    NOTHING,
  ),
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
  sctpSend: queue(
    'SCTP data that the peer has not acknowledged.',
    'outqueue of struct sctp_association.',
    PEER,
  ),
  vsockReceive: queue(
    'AF_VSOCK packets that the process has not read.',
    'rx_queue of struct virtio_vsock_sock.',
    READ,
  ),
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
