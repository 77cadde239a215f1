import { damaged, KernelError } from '../../base/errors.js';
import { once } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { SockIdentity } from './sock.js';

/** Types stored in `sk_buff.cb` that contain a protocol's read position in an skb. */
type Control = 'unix_skb_parms' | 'tcp_skb_cb' | 'mptcp_skb_cb';

/** Bit of `sk_shutdown`: the peer has finished sending (include/net/sock.h). */
const RCV_SHUTDOWN = 1;

/** Content of a receive queue, as walked. */
export interface WalkedQueue {
  /** Address of its first skb, and that skb's length in bytes. */
  readonly first: { readonly address: bigint; readonly length: number };
  /** Bytes of all its skbs; undefined if some could not be read. */
  readonly payloadBytes: number | undefined;
}

/** Reads how much of a receive queue's first skb a process has read. */
export class PartReader {
  readonly #unix;
  readonly #mptcp;
  readonly #tcp;
  readonly #tcpSock;
  readonly #sock;
  /** Offset of the control block in an skb. */
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
   * Returns the bytes of a receive queue's first skb that the process has read: an skb of a stream stays
   * queued until it is read completely. Undefined if the kernel's types lack the member.
   *
   * @throws {ReadError} if the member cannot be read; {@link KernelError} `damaged` if it contradicts the
   * queue
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
      throw damaged(`${bytes} bytes of an skb of ${length} bytes were read`);
    } catch (error) {
      if (error instanceof KernelError && error.code === 'unsupported-layout') return undefined;
      throw error;
    }
  }

  /**
   * Returns the read bytes of the first skb. From the read position (`copied_seq`) to the end of the received
   * data (`rcv_nxt`) there are the unread bytes and possibly a FIN, as in tcp_inq(). The queue must contain
   * the same amount.
   */
  #ofTcp(sock: bigint, seq: number, { payloadBytes }: WalkedQueue): number {
    const tcp = this.#tcpSock().read(sock);
    const copied = tcp.number('copied_seq');
    // Sequence numbers wrap.
    const read = (copied - seq) | 0;
    if (payloadBytes === undefined) return read;
    const shutdown = this.#sock().read(sock);
    const mayHaveEnded = (shutdown.number('sk_shutdown') & RCV_SHUTDOWN) !== 0;
    const beyond = ((tcp.number('rcv_nxt') - copied) | 0) - (payloadBytes - read);
    if (beyond === 0 || (beyond === 1 && mayHaveEnded)) return read;
    throw damaged(`TCP counts ${beyond < 0 ? 'fewer' : 'more'} unread bytes than its queue contains`);
  }
}
