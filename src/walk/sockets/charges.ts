import type { Kernel } from '../../kernel/kernel.js';
import type { QueueName } from '../queues/queue.js';
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

/** Queues whose skbs a TCP sock is charged for, and what does not add up. */
export interface ChargeFault {
  readonly queues: readonly QueueName[];
  readonly message: string;
}

/** Σ truesize of a queue, bytes. */
export type TruesizeOf = (queue: QueueName) => number;

/**
 * Holds what a TCP sock is charged against the truesize of the skbs that were found in its queues: a
 * branch that is gone from a tree leaves the tree sound, and is seen by nothing else.
 *
 * `sk_wmem_queued` is the sum of the write and the retransmit queue, `sk_rmem_alloc` that of the
 * receive and the out-of-order queue, whenever nobody holds the sock's lock: TCP changes both under it
 * alone, and a sock that is freed with either left over is warned of (inet_sock_destruct in
 * net/ipv4/af_inet.c). Other protocols charge before they queue, without a lock, or charge the sender.
 * Of sk_rmem_alloc there may be more: for the error queue, which has a lock of its own, and of which
 * zero-copy's completions are charged elsewhere; for what a reader has just taken out of that; for an
 * skb that IPv6 keeps for its options (ipv6_pinfo.pktoptions). Who takes a sock's queues over (kTLS,
 * MPTCP, sockmap, the kernel's own users) also takes over the charges.
 */
export class TcpCharges {
  readonly #kernel: Kernel;
  /** Made when the first sock is asked about; undefined in it: the kernel's types lack something. */
  #made: { readonly readers: Readers | undefined } | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * What does not add up. Of a live kernel nothing is told: its counts are read later than its queues.
   *
   * @param sock of TCP, with all queues read whole
   * @param ipv6 it is of AF_INET6
   * @throws {ReadError} if what it is charged cannot be read
   */
  faults(sock: bigint, ipv6: boolean, truesize: TruesizeOf): ChargeFault[] {
    if (this.#kernel.facts.live) return [];
    this.#made ??= { readers: readersOf(this.#kernel) };
    const { readers } = this.#made;
    if (!readers) return [];
    const view = readers.sock.read(sock);
    const locked =
      view.number('sk_lock.owned') !== 0 ||
      view.number('sk_lock.slock.rlock.raw_lock.val.counter') !== 0;
    const taken =
      view.pointer('sk_user_data') !== 0n ||
      readers.connection.read(sock).pointer('icsk_ulp_ops') !== 0n;
    if (locked || taken) return [];
    const faults: ChargeFault[] = [];
    const told = (queues: readonly QueueName[], charged: number, found: number) => {
      const message = `${queues.join(' and ')} queue: the sock is charged ${charged} bytes, but its skbs have ${found}`;
      faults.push({ queues, message });
    };
    const sent = truesize('write') + truesize('retransmit');
    const queued = view.number('sk_wmem_queued');
    if (queued !== sent) told(['write', 'retransmit'], queued, sent);
    const received = truesize('receive') + truesize('outOfOrder');
    const charged = view.number('sk_backlog.rmem_alloc.counter');
    const mayBeMore = ipv6 || view.number('sk_tsflags') !== 0;
    const most = mayBeMore ? Number.POSITIVE_INFINITY : received + truesize('error');
    if (charged < received || charged > most) told(['receive', 'outOfOrder'], charged, received);
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
