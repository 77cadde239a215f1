import type { HostFacts } from '../host/observation.js';
import { queueIsTruesize, type SocketRecord } from '../host/socket.js';
import { unreadBytes, unsentBytes } from './judge.js';
import type { SocketHistory } from './socket-history.js';

/** Inputs for one direction (receiving or sending) of one socket. Bytes and counts. */
export interface PinnedInput {
  readonly protocol: 'TCP' | 'UDP' | 'UNIX';
  /** Unread payload, or a lower bound of it (unknown for UDP: 0). */
  readonly payload: number;
  /**
   * The truesize that the kernel charges for the queued data: skmem `r` + `bl`; for a unix stream,
   * whose data is charged to the sender, the peer's skmem `t`. Null if unknown.
   */
  readonly charge: number | null;
  /** Number of segments with data ever received (TCP's data_segs_in), 0 if unknown. */
  readonly segments: number;
  /** Whether `payload` may lack data that is charged: out of order, or in the backlog. */
  readonly payloadIsPart: boolean;
  /** MAX_SKB_FRAGS of this kernel. */
  readonly maxSkbFrags: number;
  /** All memory of this host that packets can occupy: `readUnplacedMemory`. */
  readonly unplacedMemory: number;
  /** Whether that memory was counted; otherwise it depends on the amount of free memory. */
  readonly unplacedIsCounted?: boolean;
}

/** Bytes; low ≤ likely ≤ high. */
export interface PinnedEstimate {
  readonly low: number;
  readonly likely: number;
  /** Bounded by the host's memory, which means little without counters of the socket itself. */
  readonly high: number;
  /**
   * The upper bound if the socket's own counters or counted pages set it; equal to `high` then. Null:
   * unknown, since only the currently free memory bounds it.
   */
  readonly atMost: number | null;
}

export const NOTHING_PINNED: PinnedEstimate = { low: 0, likely: 0, high: 0, atMost: 0 };

/** An estimate with a known upper bound. */
function bounded(low: number, likely: number, high: number): PinnedEstimate {
  return { low, likely, high, atMost: high };
}

/**
 * The largest allocation for packet data: 32 KiB, SKB_FRAG_PAGE_ORDER of include/net/sock.h (senders'
 * page_frag) and PAGE_FRAG_CACHE_MAX_SIZE (drivers, napi).
 */
export const LARGEST_PAGE_BYTES = 32 * 1024;

/** Truesize of an skb without data is at least 512: struct sk_buff plus skb_shared_info. */
const MIN_SKB_CHARGE = 512;

/**
 * Estimates the memory that a socket's unread data pins (docs/internals/architecture.md: pinned), from
 * user-space data. The true value is between `low` and `high`; unknown inputs widen the range.
 *
 * **low.** Unread payload pins at least its own size. The charge consists of the sizes of real allocations
 * (SKB_TRUESIZE: the struct, the head as kmalloc rounded it; skb_add_rx_frag: each fragment's share of its
 * page), which skb_try_coalesce and tcp_collapse preserve; half of it allows for drivers that charge a page
 * to both its users (in the lab's dumps all of it was pinned). Exceptions: one user page sent many times by
 * sendfile or zerocopy on this host, and device memory.
 *
 * **likely.** Payload in whole pages of a local sender, which fills them one after the other
 * (skb_page_frag_refill), plus the rest of the charge by 1.2: the fclone objects and the shares of pages that
 * merging and rounding leave uncharged. In the lab's dumps of 5.10, 6.1, 6.12 and 7.2 it is within 10 % for
 * local TCP senders, within 20 % for a virtio NIC with similar packets; a unix stream's charge was exact.
 * Dissimilar packets can pin twice as much: of 10-byte messages on 5.10, virtio-net copied most into separate
 * heads, and left a few larger ones in its 32 KiB pages, one per page, charged with 1.5 KiB. User space
 * cannot detect these. If some of the charge may be for data that is not in `payload` (out of order), all of
 * it by 1.2.
 *
 * **high.** One fragment pins its whole compound page, so: fragments × 32 KiB, each alone in its page, and
 * one and a half times the charge for slab memory (an fclone pair's object is twice what is charged). No more
 * fragments than
 * - skbs × (MAX_SKB_FRAGS + 1 for a head that is a page fragment), where an skb charges ≥ 512;
 * - bytes of payload, plus what one half-read skb may pin, unless payload is only a part;
 * - segments ever received × (MAX_SKB_FRAGS + 1). And no more than all memory of the host that can contain
 * packets; without another bound, `atMost` is unknown, unless that memory was counted. Unix sockets are
 * simpler: their pages belong to one skb and are charged completely (alloc_skb_with_frags adds PAGE_SIZE <<
 * order), so twice the charge is ample. Exception in both: pages lent by user space (sendfile, splice,
 * zerocopy): one byte may pin a page of any size.
 */
export function estimatePinned(input: PinnedInput): PinnedEstimate {
  const { payload, charge, maxSkbFrags, unplacedMemory, unplacedIsCounted = false } = input;
  if (charge === null) {
    const likely = payload + MIN_SKB_CHARGE;
    const high = Math.max(likely, unplacedMemory + 2 * payload);
    return { low: payload, likely, high, atMost: unplacedIsCounted ? high : null };
  }
  const low = Math.max(payload, Math.floor(charge / 2));
  if (input.protocol === 'UNIX') {
    const likely = Math.max(payload, charge);
    return bounded(low, likely, Math.max(likely, 2 * charge));
  }
  const pagesOfPayload = Math.ceil(payload / LARGEST_PAGE_BYTES) * LARGEST_PAGE_BYTES;
  const overhead = Math.max(0, charge - payload);
  const plain = Math.ceil(pagesOfPayload + 1.2 * overhead);
  const likely = input.payloadIsPart ? Math.ceil(Math.max(payload, 1.2 * charge)) : plain;
  const perSkb = maxSkbFrags + 1;
  const skbs = Math.ceil(Math.max(charge, payload > 0 ? 1 : 0) / MIN_SKB_CHARGE);
  const bounds = [skbs * perSkb];
  if (input.protocol !== 'UDP' && !input.payloadIsPart) bounds.push(payload + skbs + perSkb);
  if (input.segments > 0) bounds.push(input.segments * perSkb);
  const own = Math.min(...bounds) * LARGEST_PAGE_BYTES;
  const pages = Math.min(own, unplacedMemory);
  const high = Math.max(likely, plain, pages + Math.ceil(1.5 * charge));
  return { low, likely, high, atMost: own <= unplacedMemory || unplacedIsCounted ? high : null };
}

/**
 * Memory pinned by connections in the queue of a unix listener: each an skb with room for one byte
 * (sock_wmalloc in unix_stream_connect), which is 768 to 960 bytes of slab, and more with slab
 * debugging. Data that their clients have sent is queued in other sockets, and not included.
 */
export function estimateUnixBacklog(connections: number): PinnedEstimate {
  return bounded(MIN_SKB_CHARGE * connections, 768 * connections, 4096 * connections);
}

/** Inputs for the queue of a unix datagram socket. Bytes. */
export interface DatagramsInput extends Pick<PinnedInput, 'maxSkbFrags' | 'unplacedMemory'> {
  /** Payload of the next datagram; the kernel does not report the length of the others. */
  readonly next: number;
  /** sk_wmem_alloc of all sockets connected to the reader; null: none is known. */
  readonly sendersCharge: number | null;
  /** No other socket can have sent the queued data. */
  readonly sendersComplete: boolean;
}

/**
 * Estimates the memory that a unix datagram socket pins. Its datagrams are charged to their senders
 * (skb_set_owner_w), completely and exactly. A connected sender may also have sent elsewhere (sendto),
 * and a sender that is not connected, or is closed, cannot be attributed. So only the next datagram
 * sets `low`, and there is an upper bound only if no other socket can send: an unnamed reader accepts
 * datagrams only from its peer (unix_may_send).
 */
export function estimateUnixDatagrams(input: DatagramsInput): PinnedEstimate {
  const low = leastTruesize(input.next, input.maxSkbFrags);
  const likely = Math.max(low, input.sendersCharge ?? 0);
  if (input.sendersCharge !== null && input.sendersComplete) return bounded(low, likely, 2 * likely);
  return { low, likely, high: input.unplacedMemory + 2 * likely, atMost: null };
}

/**
 * Minimum truesize of an skb with this payload: struct sk_buff, and a head of payload and
 * skb_shared_info. Heads are kmalloc objects (powers of two), or of skb_small_head_cache (704 bytes
 * since 6.3); unix_dgram_sendmsg stores data beyond SKB_MAX_ALLOC in pages.
 */
function leastTruesize(payload: number, maxSkbFrags: number): number {
  const sharedInfo = 48 + 16 * maxSkbFrags;
  const head = payload + sharedInfo;
  const slot = head <= SMALL_HEAD || head > LARGEST_SLOT ? Math.max(512, head) : 2 ** Math.ceil(Math.log2(head));
  return MIN_SKB_STRUCT + slot;
}

/** struct sk_buff as truesize counts it (SKB_DATA_ALIGN): 256 bytes, 192 with all optional fields disabled. */
const MIN_SKB_STRUCT = 192;
const SMALL_HEAD = 704;
/** Largest head in a slab; larger heads are page allocations. */
const LARGEST_SLOT = 8192;

/** Memory of a host that packets can occupy, bytes: see {@link PinnedInput}. */
type HostMemory = Pick<PinnedInput, 'unplacedMemory' | 'unplacedIsCounted'>;

/**
 * Estimates for all sockets together: sums, except that all pages share the same memory, so `high` is
 * capped once. `charges` is the sum of the sockets' charges. The sum of upper bounds is known if each
 * is, and the host's memory can hold it.
 */
export function sumPinned(
  estimates: readonly PinnedEstimate[],
  charges: number,
  { unplacedMemory, unplacedIsCounted = false }: HostMemory,
): PinnedEstimate {
  const sum = { low: 0, likely: 0, high: 0 };
  let known = true;
  for (const estimate of estimates) {
    sum.low += estimate.low;
    sum.likely += estimate.likely;
    sum.high += estimate.high;
    if (estimate.atMost === null) known = false;
  }
  const cap = unplacedMemory + Math.ceil(1.5 * charges);
  const high = Math.max(sum.likely, Math.min(sum.high, cap));
  return { ...sum, high, atMost: known && (sum.high <= cap || unplacedIsCounted) ? high : null };
}

export interface SocketPinned {
  readonly pinned: PinnedEstimate;
  /** Memory charged to the socket for the pinned data, or an upper estimate. */
  readonly charge: number;
}

/**
 * Estimates the memory that a socket pins: its unread data, data that its peer has not read, and connections
 * pending at a unix listener.
 *
 * @param sends whether to include the data that the peer has not read
 */
export function pinnedBy(socket: SocketRecord, sends: boolean, host: HostFacts, history: SocketHistory): SocketPinned {
  const { maxSkbFrags, unplacedMemory, unplacedIsCounted } = host;
  const shared = { maxSkbFrags, unplacedMemory, unplacedIsCounted };
  const unread = unreadBytes(socket);
  const sides: PinnedEstimate[] = [];
  let charge = 0;
  if (unread > 0 && isUnixDatagram(socket)) {
    const senders = history.unixSenders(socket);
    const sent = senders.map(({ skmem }) => skmem?.wmem ?? 0).reduce((sum, bytes) => sum + bytes, 0);
    const datagrams = estimateUnixDatagrams({
      maxSkbFrags,
      unplacedMemory,
      next: unread,
      sendersCharge: senders.length === 0 ? null : sent,
      sendersComplete: socket.local === '*' && senders.some(({ inode }) => inode === socket.peerInode),
    });
    sides.push(datagrams);
    charge += datagrams.likely;
  } else if (unread > 0) {
    const receiveCharge = chargeOf(socket, history.unixPeer(socket));
    sides.push(
      estimatePinned({
        ...shared,
        protocol: pinnedKind(socket),
        payload: queueIsTruesize(socket.protocol) ? 0 : unread,
        charge: receiveCharge,
        segments: segmentsOf(socket),
        payloadIsPart: payloadIsPart(socket),
      }),
    );
    charge += receiveCharge ?? 2 * unread;
  }
  if (sends) {
    const queue = sendQueueOf(socket, host);
    if (queue) sides.push(queue.pinned);
    charge += queue?.charge ?? 0;
  }
  if (socket.state === 'LISTEN' && socket.protocol === 'UNIX') {
    const waiting = estimateUnixBacklog(socket.recvQ);
    sides.push(waiting);
    charge += waiting.high;
  }
  const pinned = sides.length === 0 ? NOTHING_PINNED : sumPinned(sides, charge, host);
  return { pinned, charge };
}

/** Estimates the memory pinned by the send queue of a TCP socket; null: it is empty. */
export function sendQueueOf(socket: SocketRecord, host: HostFacts): SocketPinned | null {
  const unsent = socket.protocol === 'TCP' ? unsentBytes(socket) : 0;
  if (unsent === 0) return null;
  const { maxSkbFrags, unplacedMemory, unplacedIsCounted } = host;
  const charge = socket.skmem?.wmemQueued ?? null;
  const pinned = estimatePinned({
    maxSkbFrags,
    unplacedMemory,
    unplacedIsCounted,
    protocol: 'TCP',
    payload: unsent,
    charge,
    segments: 0,
    payloadIsPart: false,
  });
  return { pinned, charge: charge ?? 2 * unsent };
}

function isUnixDatagram({ protocol, type, skmem }: SocketRecord): boolean {
  return protocol === 'UNIX' && type === 'SOCK_DGRAM' && skmem !== null;
}

function pinnedKind({ protocol }: SocketRecord): 'TCP' | 'UDP' | 'UNIX' {
  if (protocol === 'UNIX') return 'UNIX';
  return queueIsTruesize(protocol) ? 'UDP' : 'TCP';
}

/** Returns data_segs_in. It has 32 bits: after 4 GiB received it may have wrapped, and is not used. */
function segmentsOf({ tcp }: SocketRecord): number {
  return tcp && tcp.bytesReceived !== null && tcp.bytesReceived < 2 ** 32 ? tcp.dataSegments : 0;
}

/**
 * Whether Recv-Q may lack charged data: out-of-order data and the backlog are charged, but not included in
 * Recv-Q.
 */
function payloadIsPart({ protocol, tcp, skmem }: SocketRecord): boolean {
  if (protocol === 'TCP' && (!tcp || tcp.outOfOrder > 0)) return true;
  return !skmem || skmem.backlog > 0;
}

/**
 * Memory charged for the receive side. A unix stream's data is charged to its sender (skb_set_owner_w),
 * which can only send to this socket. A sender missing in the sample has nothing charged. Without skmem, Recv-Q is the
 * charge of protocols whose queue counts truesize.
 */
function chargeOf(socket: SocketRecord, peer: SocketRecord | undefined): number | null {
  if (!socket.skmem) return queueIsTruesize(socket.protocol) ? socket.recvQ : null;
  const own = socket.skmem.rmem + socket.skmem.backlog;
  if (socket.protocol !== 'UNIX') return own;
  if (socket.peerInode === 0) return null;
  return peer?.skmem && peer.protocol === 'UNIX' ? own + peer.skmem.wmem : null;
}
