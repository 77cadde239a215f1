import { KernelError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { SockIdentity } from './sock.js';

/** What in `sk_buff.cb` tells how far a protocol has read an skb. */
type Control = 'unix_skb_parms' | 'tcp_skb_cb' | 'mptcp_skb_cb';

/** `sk_shutdown`: the peer has sent its last (include/net/sock.h). */
const RCV_SHUTDOWN = 1;

/** What a receive queue holds, as it was walked. */
export interface WalkedQueue {
  /** Address and bytes of its first skb. */
  readonly first: { readonly address: bigint; readonly length: number };
  /** Bytes of all its skbs; undefined where some could not be read. */
  readonly payloadBytes: number | undefined;
}

/**
 * Of the first skb of a receive queue, how many bytes the process has read: a stream's skb stays in
 * the queue until it is read whole. Undefined: this kernel does not tell.
 *
 * @throws {ReadError} where what tells it cannot be read; {@link KernelError} `damaged` where it
 *   contradicts the queue
 */
export function readPart(
  kernel: Kernel,
  { family, type, protocol }: Pick<SockIdentity, 'family' | 'type' | 'protocol'>,
  sock: bigint,
  queue: WalkedQueue,
): number | undefined {
  if (type !== 'SOCK_STREAM') return 0;
  const { address, length } = queue.first;
  const cb = kernel.struct('sk_buff')?.member('cb');
  const control = (struct: Control, member: string) => {
    const reader = new StructReader(kernel, struct, [member]);
    return reader.read(address + BigInt(cb?.offset ?? 0)).number(member);
  };
  const read = () => {
    if (family === 'AF_UNIX') return control('unix_skb_parms', 'consumed');
    if (protocol === 'MPTCP') return control('mptcp_skb_cb', 'offset');
    if (protocol !== 'TCP') return 0;
    return tcpReadPart(kernel, sock, control('tcp_skb_cb', 'seq'), queue);
  };
  try {
    const bytes = read();
    if (bytes >= 0 && bytes <= length) return bytes;
    throw new KernelError('damaged', `${bytes} bytes of an skb of ${length} have been read`);
  } catch (error) {
    if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
    throw error;
  }
}

/**
 * From where the process has read up to (`copied_seq`) to what has come (`rcv_nxt`) are the bytes that
 * are not read, and a FIN: what tcp_inq() answers. The queue must hold as much.
 */
function tcpReadPart(
  kernel: Kernel,
  sock: bigint,
  seq: number,
  { payloadBytes }: WalkedQueue,
): number {
  const tcp = new StructReader(kernel, 'tcp_sock', ['copied_seq', 'rcv_nxt']).read(sock);
  const copied = tcp.number('copied_seq');
  // Sequence numbers wrap around.
  const read = (copied - seq) | 0;
  if (payloadBytes === undefined) return read;
  const shutdown = new StructReader(kernel, 'sock', ['sk_shutdown']).read(sock);
  const mayHaveEnded = (shutdown.number('sk_shutdown') & RCV_SHUTDOWN) !== 0;
  const beyond = ((tcp.number('rcv_nxt') - copied) | 0) - (payloadBytes - read);
  if (beyond === 0 || (beyond === 1 && mayHaveEnded)) return read;
  throw new KernelError(
    'damaged',
    `TCP counts ${beyond < 0 ? 'less' : 'more'} to be read than its queue holds`,
  );
}
