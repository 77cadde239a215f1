import type { QueueName } from '../../walk/queues/queue.js';
import type { Explanation, Explanations } from './explanation.js';

const READ = 'Let the process read, or close the socket.';
const PEER = 'See whether the peer takes data, and whether the way to it works.';
const NOTHING = 'Nothing, of little.';

const queue = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem skb',
});

/** The queues of a socket. */
export const QUEUES_EXPLAINED: Explanations<QueueName> = {
  receive: queue(
    'Data that came and that the process has not read.',
    'sk_receive_queue of struct sock.',
    READ,
  ),
  outOfOrder: queue(
    'Data that came before data that is still missing: it cannot be read yet.',
    'out_of_order_queue of struct tcp_sock.',
    'Packets get lost on the way: see the network.',
  ),
  backlog: queue(
    'Packets that came while a process was at the socket.',
    'sk_backlog of struct sock.',
    NOTHING,
  ),
  error: queue(
    'What the kernel has to tell the process: errors, time stamps, zerocopy that is done.',
    'sk_error_queue of struct sock.',
    'Let the process read with MSG_ERRQUEUE.',
  ),
  write: queue(
    'Data that the process wrote and that has not gone out.',
    'sk_write_queue of struct sock.',
    PEER,
  ),
  retransmit: queue(
    'Data that went out and that the peer has not acknowledged.',
    'tcp_rtx_queue of struct sock.',
    PEER,
  ),
  kept: queue(
    'What TCP keeps beside its queues: to use it again, or for its options.',
    'sk_tx_skb_cache and sk_rx_skb_cache of struct sock, and fields of struct tcp_sock.',
    NOTHING,
  ),
  reader: queue(
    'Data that the process that reads has taken over from the receive queue, and has not read.',
    'reader_queue of struct udp_sock; receive queue of struct mptcp_sock.',
    READ,
  ),
  producing: queue(
    'Datagrams that CPUs have put down for the socket, and that are not in its queue yet.',
    'udp_prod_queue of struct udp_sock.',
    NOTHING,
  ),
  subflowBacklog: queue(
    'Data that MPTCP took from its subflows and has not put in order.',
    'backlog_list of struct mptcp_sock.',
    READ,
  ),
  rxRing: queue(
    'A ring of AF_PACKET for packets that come; the process maps it.',
    'rx_ring of struct packet_sock.',
    'Let the process ask for a smaller ring, or close the socket.',
  ),
  txRing: queue(
    'A ring of AF_PACKET for packets that go; the process maps it.',
    'tx_ring of struct packet_sock.',
    'Let the process ask for a smaller ring, or close the socket.',
  ),
  tlsReceive: queue(
    'Records that kTLS has decrypted and nobody has read.',
    'rx_list of struct tls_sw_context_rx.',
    READ,
  ),
  tlsHold: queue(
    'Records that kTLS is decrypting.',
    'async_hold of struct tls_sw_context_rx.',
    NOTHING,
  ),
  tlsRecord: queue(
    'The record that kTLS is putting together.',
    'The strparser of struct tls_sw_context_rx.',
    NOTHING,
  ),
  tlsSend: queue('Records that kTLS has to send.', 'tx_list of struct tls_sw_context_tx.', PEER),
  ingressSkbs: queue(
    'Packets that a sockmap leads to this socket.',
    'ingress_skb of struct sk_psock.',
    READ,
  ),
  ingressPart: queue(
    'A message that a sockmap’s parser is putting together.',
    'The strparser of struct sk_psock.',
    NOTHING,
  ),
  ingressMessages: queue(
    'Messages that a sockmap led to this socket and nobody has read.',
    'ingress_msg of struct sk_psock.',
    READ,
  ),
  cork: queue(
    'A message that a program of a sockmap holds back.',
    'cork of struct sk_psock.',
    'See the BPF program: it asked for more bytes before it decides.',
  ),
  sctpReceive: queue(
    'Data of SCTP that came in part or out of order.',
    'ulpq and streams of struct sctp_association.',
    READ,
  ),
  sctpSend: queue(
    'Data of SCTP that the peer has not acknowledged.',
    'outqueue of struct sctp_association.',
    PEER,
  ),
  vsockReceive: queue(
    'Packets of AF_VSOCK that nobody has read.',
    'rx_queue of struct virtio_vsock_sock.',
    READ,
  ),
  umem: queue(
    'Pages that user space lent to AF_XDP.',
    'struct xdp_umem.',
    'They come back when the process closes the socket and unmaps them.',
  ),
  cipher: queue(
    'Data that is to be encrypted or decrypted (AF_ALG).',
    'The lists of struct af_alg_ctx.',
    'Let the process read what it asked for.',
  ),
  own: queue(
    'Queues that a family keeps in a way of its own. They are not read: what is in them is not counted.',
    'The family of the socket.',
    'Ask of such sockets what their own tools tell.',
  ),
};
