import type { Kernel } from '../../kernel/kernel.js';
import type { QueueName } from '../../records/queues.js';
import type { Ticks } from '../machine/clock.js';
import { StructReader } from '../struct-reader.js';

const SOCK_FIELDS = [
  'sk_backlog.rmem_alloc.counter',
  'sk_wmem_queued',
  'sk_user_data',
  'sk_tsflags',
  'sk_lock.owned',
  'sk_lock.slock.rlock.raw_lock.val.counter',
] as const;

interface Readers {
  readonly sock: StructReader<(typeof SOCK_FIELDS)[number]>;
  readonly connection: StructReader<'icsk_ulp_ops'>;
}

/** Queues whose skbs are charged to a TCP sock, and the inconsistency. */
export interface ChargeFault {
  readonly queues: readonly QueueName[];
  readonly message: string;
}

/** Returns the sum of truesize in a queue, in bytes. */
export type TruesizeOf = (queue: QueueName) => number;

/**
 * Compares the charges of a TCP sock with the truesize of the skbs found in its queues: a missing branch
 * leaves the tree valid and has no other symptom.
 *
 * While the sock is not locked, `sk_wmem_queued` is the sum of the write and the retransmit queue, and
 * `sk_rmem_alloc` that of the receive and the out-of-order queue. TCP changes both only under the lock, and
 * warns if a sock is freed with a remainder of either (inet_sock_destruct in net/ipv4/af_inet.c). Other
 * protocols charge before they queue, without a lock, or charge the sender. sk_rmem_alloc may be larger
 * because of: the error queue, which has its own lock, and whose zero-copy completions are charged elsewhere;
 * skbs that a reader just removed from it; an skb kept for IPv6 options (ipv6_pinfo.pktoptions). Code that
 * takes over a sock's queues (kTLS, MPTCP, sockmap, users in the kernel) takes over the charges.
 */
export class TcpCharges {
  readonly #kernel: Kernel;
  /** Created for the first sock; `readers` is undefined if the kernel's types lack the members. */
  #made: { readonly readers: Readers | undefined } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Returns the inconsistencies. Not for a live kernel, whose counters are read later than its queues.
   *
   * @param sock a TCP sock with all queues read completely
   * @param ipv6 whether the sock is AF_INET6
   * @throws {ReadError} if its charges cannot be read
   */
  faults(sock: bigint, ipv6: boolean, truesize: TruesizeOf): ChargeFault[] {
    if (this.#kernel.facts.live) return [];
    this.#made ??= { readers: readersOf(this.#kernel) };
    const { readers } = this.#made;
    if (!readers) return [];
    const view = readers.sock.read(sock);
    const locked = view.number('sk_lock.owned') !== 0 || view.number('sk_lock.slock.rlock.raw_lock.val.counter') !== 0;
    const readerCharge =
      view.pointer('sk_user_data') !== 0n || readers.connection.read(sock).pointer('icsk_ulp_ops') !== 0n;
    if (locked || readerCharge) return [];
    const faults: ChargeFault[] = [];
    const compare = (queues: readonly QueueName[], charged: number, found: number) => {
      const message = `${queues.join(' and ')} queue: the sock is charged ${charged} bytes, but its skbs have ${found}`;
      faults.push({ queues, message });
    };
    const sent = truesize('write') + truesize('retransmit');
    const queued = view.number('sk_wmem_queued');
    if (queued !== sent) compare(['write', 'retransmit'], queued, sent);
    const received = truesize('receive') + truesize('outOfOrder');
    const charged = view.number('sk_backlog.rmem_alloc.counter');
    const mayBeMore = ipv6 || view.number('sk_tsflags') !== 0;
    const most = mayBeMore ? Number.POSITIVE_INFINITY : received + truesize('error');
    if (charged < received || charged > most) compare(['receive', 'outOfOrder'], charged, received);
    return faults;
  }
}

function readersOf(kernel: Kernel): Readers | undefined {
  const has = (type: string, paths: readonly string[]) => {
    const layout = kernel.struct(type);
    return paths.every((path) => layout?.member(path) !== undefined);
  };
  if (!has('sock', SOCK_FIELDS) || !has('inet_connection_sock', ['icsk_ulp_ops'])) return undefined;
  return {
    sock: new StructReader(kernel, 'sock', SOCK_FIELDS),
    connection: new StructReader(kernel, 'inet_connection_sock', ['icsk_ulp_ops']),
  };
}

/** Queued data of a TCP socket. */
export interface TcpWaiting {
  /**
   * Seconds since the newest data arrived (`icsk_ack.lrcvtime`): all queued data is at least as old. Null: it
   * would be older than the boot, which is impossible.
   */
  readonly ageSeconds: number | null;
  /** Receive window: bytes that the peer may still send. */
  readonly windowBytes: number;
  /** The window is smaller than a segment (`icsk_ack.rcv_mss`). */
  readonly closed: boolean;
}

/** @param protocol the name of a sock's protocol */
export function isTcp(protocol: string): boolean {
  return protocol === 'TCP' || protocol === 'TCPv6';
}

/** Reads TCP's records of received data (include/net/inet_connection_sock.h, include/linux/tcp.h). */
export class TcpWaitingReader {
  readonly #connection;
  readonly #tcp;

  constructor(kernel: Kernel) {
    const members = ['icsk_ack.lrcvtime', 'icsk_ack.rcv_mss'] as const;
    this.#connection = new StructReader<(typeof members)[number]>(kernel, 'inet_connection_sock', members);
    this.#tcp = new StructReader(kernel, 'tcp_sock', ['rcv_nxt', 'rcv_wup', 'rcv_wnd']);
  }

  read(sock: bigint, ticks: Ticks): TcpWaiting {
    const ack = this.#connection.read(sock);
    // Both are the low 32 bits of jiffies, which wrap.
    const came = ack.number('icsk_ack.lrcvtime');
    const age = ((Number(ticks.now & 0xffff_ffffn) - came) >>> 0) / ticks.perSecond;
    const tcp = this.#tcp.read(sock);
    const left = (tcp.number('rcv_wup') + tcp.number('rcv_wnd') - tcp.number('rcv_nxt')) | 0;
    const windowBytes = Math.max(0, left);
    return {
      ageSeconds: age <= ticks.seconds ? age : null,
      windowBytes,
      closed: windowBytes < Math.max(1, ack.number('icsk_ack.rcv_mss')),
    };
  }
}
