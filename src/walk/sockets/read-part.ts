import { KernelError } from '../../base/errors/kernel.js';
import { once } from '../../base/once.js';
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

/** Reads how far a process has read the first skb of a receive queue. */
export class PartReader {
  readonly #unix;
  readonly #mptcp;
  readonly #tcp;
  readonly #tcpSock;
  readonly #sock;
  /** Bytes from an skb to its control block. */
  readonly #control: bigint;

  constructor(kernel: Kernel) {
    const control = <Member extends string>(struct: Control, member: Member) =>
      once(() => new StructReader(kernel, struct, [member]));
    this.#unix = control('unix_skb_parms', 'consumed');
    this.#mptcp = control('mptcp_skb_cb', 'offset');
    this.#tcp = control('tcp_skb_cb', 'seq');
    this.#tcpSock = once(() => new StructReader(kernel, 'tcp_sock', ['copied_seq', 'rcv_nxt']));
    this.#sock = once(() => new StructReader(kernel, 'sock', ['sk_shutdown']));
    this.#control = BigInt(kernel.struct('sk_buff')?.member('cb')?.offset ?? 0);
  }

  /**
   * Bytes of a receive queue's first skb that the process has read: a stream's skb stays in the queue
   * until it is read whole. Undefined: this kernel does not tell.
   *
   * @throws {ReadError} where what tells it cannot be read; {@link KernelError} `damaged` where it
   *   contradicts the queue
   */
  read(
    { family, type, protocol }: Pick<SockIdentity, 'family' | 'type' | 'protocol'>,
    sock: bigint,
    queue: WalkedQueue,
  ): number | undefined {
    if (type !== 'SOCK_STREAM') return 0;
    const control = queue.first.address + this.#control;
    const read = () => {
      if (family === 'AF_UNIX') return this.#unix().read(control).number('consumed');
      if (protocol === 'MPTCP') return this.#mptcp().read(control).number('offset');
      if (protocol !== 'TCP') return 0;
      return this.#ofTcp(sock, this.#tcp().read(control).number('seq'), queue);
    };
    try {
      const bytes = read();
      const { length } = queue.first;
      if (bytes >= 0 && bytes <= length) return bytes;
      throw new KernelError('damaged', `${bytes} bytes of an skb of ${length} bytes were read`);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
      throw error;
    }
  }

  /**
   * From where the process has read up to (`copied_seq`) to what has come (`rcv_nxt`) are the bytes that
   * are not read, and a FIN: what tcp_inq() answers. The queue must hold as much.
   */
  #ofTcp(sock: bigint, seq: number, { payloadBytes }: WalkedQueue): number {
    const tcp = this.#tcpSock().read(sock);
    const copied = tcp.number('copied_seq');
    // Sequence numbers wrap around.
    const read = (copied - seq) | 0;
    if (payloadBytes === undefined) return read;
    const shutdown = this.#sock().read(sock);
    const mayHaveEnded = (shutdown.number('sk_shutdown') & RCV_SHUTDOWN) !== 0;
    const beyond = ((tcp.number('rcv_nxt') - copied) | 0) - (payloadBytes - read);
    if (beyond === 0 || (beyond === 1 && mayHaveEnded)) return read;
    throw new KernelError(
      'damaged',
      `TCP counts ${beyond < 0 ? 'fewer' : 'more'} unread bytes than its queue contains`,
    );
  }
}
