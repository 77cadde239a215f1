/** What is known of one side (receiving or sending) of one socket. Bytes and counts. */
export interface PinnedInput {
  readonly protocol: 'TCP' | 'UDP' | 'UNIX';
  /** Unread payload, or a lower bound of it (UDP does not tell: 0). */
  readonly payload: number;
  /**
   * The truesize that the kernel charges for what waits: skmem `r` + `bl`; for a unix stream, whose
   * data is charged to the sender, the peer's skmem `t`. Null when nobody tells.
   */
  readonly charge: number | null;
  /** Segments with data that ever came (TCP's data_segs_in), 0 when unknown. */
  readonly segments: number;
  /** True when `payload` may leave out data that is charged: out of order, or in the backlog. */
  readonly payloadIsPart: boolean;
  /** MAX_SKB_FRAGS of this kernel. */
  readonly maxSkbFrags: number;
  /** All memory that packets on this host can lie in: `readUnplacedMemory`. */
  readonly unplacedMemory: number;
  /** That memory was counted, and is not what happens to be free. */
  readonly unplacedIsCounted?: boolean;
}

/** Bytes; low ≤ likely ≤ high. */
export interface PinnedEstimate {
  readonly low: number;
  readonly likely: number;
  /** No more than this has room on the host, which without figures of the socket's own says little. */
  readonly high: number;
  /**
   * The upper bound where the socket's own figures set it, or pages that were counted; it is `high`
   * then. Null: unknown, since only the memory that happens to be free bounds it.
   */
  readonly atMost: number | null;
}

export const NOTHING_PINNED: PinnedEstimate = { low: 0, likely: 0, high: 0, atMost: 0 };

/** A bound that is known. */
function bounded(low: number, likely: number, high: number): PinnedEstimate {
  return { low, likely, high, atMost: high };
}

/**
 * The largest allocation that packet data comes out of: 32 KiB, SKB_FRAG_PAGE_ORDER of
 * include/net/sock.h (senders' page_frag) and PAGE_FRAG_CACHE_MAX_SIZE (drivers, napi).
 */
export const LARGEST_PAGE_BYTES = 32 * 1024;

/** Truesize of an skb without any data is at least 512: struct sk_buff plus skb_shared_info. */
const LEAST_SKB_CHARGE = 512;

/**
 * How much memory the unread data of a socket keeps from the allocators (docs/internals/architecture.md: pinned),
 * from what user space can see. The truth lies between `low` and `high`; what is not known makes
 * them drift apart.
 *
 * **low.** Unread payload lies somewhere, so at least its own size is held. The charge is built
 * from the sizes of real allocations (SKB_TRUESIZE: the struct, the head as kmalloc rounded it;
 * skb_add_rx_frag: each fragment's share of its page), which skb_try_coalesce and tcp_collapse carry
 * on; half of it leaves room for drivers that charge a page to both its users (in the lab's dumps all
 * of it was pinned). Exceptions: one user page sent many times by sendfile or zerocopy on this host,
 * and device memory.
 *
 * **likely.** Payload in whole pages of a local sender, who fills them one after the other
 * (skb_page_frag_refill), plus the rest of the charge by 1.2: the fclone slots and the shares of
 * pages that merging and rounding leave uncharged. In the lab's dumps of 5.10, 6.1, 6.12 and 7.2 it is
 * within 10 % for local TCP senders, within 20 % for a virtio NIC whose packets are alike; a unix
 * stream's charge was exact. Packets that are not alike can keep twice as much: of 10-byte messages
 * on 5.10, virtio-net copied most into heads of their own and left a few larger ones in its 32 KiB
 * pages, one in each, charged with 1.5 KiB. Nothing that user space sees tells of these. Where
 * some of the charge may be for data that is not in `payload` (out of order), all of it by 1.2.
 *
 * **high.** One fragment keeps its whole compound page, so: fragments × 32 KiB, each alone in its
 * page, and one and a half times the charge for what lies in slab (an fclone pair's slot is twice
 * what is charged). No more fragments than
 * - skbs × (MAX_SKB_FRAGS + 1 for a head that is a page fragment), where an skb charges ≥ 512;
 * - bytes of payload, plus what one half-read skb may keep, unless payload is only a part;
 * - segments that ever came × (MAX_SKB_FRAGS + 1).
 * And no more than all memory of the host that can hold packets; where nothing else bounds it, `atMost`
 * is not known, unless that memory was counted. Unix sockets are simpler: their
 * pages belong to one skb and are charged whole (alloc_skb_with_frags adds PAGE_SIZE << order), so
 * twice the charge is ample. Exception in both: pages that user space lent (sendfile, splice,
 * zerocopy), of which a byte may keep one of any size.
 */
export function estimatePinned(input: PinnedInput): PinnedEstimate {
  const { payload, charge, maxSkbFrags, unplacedMemory, unplacedIsCounted = false } = input;
  if (charge === null) {
    const likely = payload + LEAST_SKB_CHARGE;
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
  const skbs = Math.ceil(Math.max(charge, payload > 0 ? 1 : 0) / LEAST_SKB_CHARGE);
  const bounds = [skbs * perSkb];
  if (input.protocol !== 'UDP' && !input.payloadIsPart) bounds.push(payload + skbs + perSkb);
  if (input.segments > 0) bounds.push(input.segments * perSkb);
  const own = Math.min(...bounds) * LARGEST_PAGE_BYTES;
  const pages = Math.min(own, unplacedMemory);
  const high = Math.max(likely, plain, pages + Math.ceil(1.5 * charge));
  return { low, likely, high, atMost: own <= unplacedMemory || unplacedIsCounted ? high : null };
}

/**
 * What the connections that wait at a unix listener keep in its own queue: each an skb with room for
 * one byte (sock_wmalloc in unix_stream_connect), which is 768 to 960 bytes of slab, and more where
 * slabs are debugged. What their clients have sent already waits in sockets of their own, and is not in this.
 */
export function estimateUnixBacklog(connections: number): PinnedEstimate {
  return bounded(LEAST_SKB_CHARGE * connections, 768 * connections, 4096 * connections);
}

/** What is known of the queue of a unix datagram socket. Bytes. */
export interface DatagramsInput extends Pick<PinnedInput, 'maxSkbFrags' | 'unplacedMemory'> {
  /** Payload of the next datagram; the kernel does not report the length of the others. */
  readonly next: number;
  /** sk_wmem_alloc of all sockets connected to the reader; null: none of them is known. */
  readonly sendersCharge: number | null;
  /** No other socket can have sent what is queued. */
  readonly sendersComplete: boolean;
}

/**
 * What a unix datagram socket keeps. Its datagrams are charged to their senders (skb_set_owner_w), whole
 * and exactly. A connected sender may also have sent elsewhere (sendto), and a sender that is not
 * connected, or is closed, cannot be attributed. So the next datagram alone sets `low`, and there is an
 * upper bound only where no other socket can send: a reader without a name accepts datagrams of its peer only
 * (unix_may_send).
 */
export function estimateUnixDatagrams(input: DatagramsInput): PinnedEstimate {
  const low = leastTruesize(input.next, input.maxSkbFrags);
  const likely = Math.max(low, input.sendersCharge ?? 0);
  if (input.sendersCharge !== null && input.sendersComplete)
    return bounded(low, likely, 2 * likely);
  return { low, likely, high: input.unplacedMemory + 2 * likely, atMost: null };
}

/**
 * The least truesize of an skb with so much payload: struct sk_buff, and a head of payload and
 * skb_shared_info. Heads are slots of kmalloc (powers of two), or of skb_small_head_cache (704 bytes
 * since 6.3); unix_dgram_sendmsg puts what is beyond SKB_MAX_ALLOC into pages.
 */
function leastTruesize(payload: number, maxSkbFrags: number): number {
  const sharedInfo = 48 + 16 * maxSkbFrags;
  const head = payload + sharedInfo;
  const slot =
    head <= SMALL_HEAD || head > LARGEST_SLOT
      ? Math.max(512, head)
      : 2 ** Math.ceil(Math.log2(head));
  return LEAST_SKB_STRUCT + slot;
}

/** struct sk_buff as truesize counts it (SKB_DATA_ALIGN): 256 bytes, 192 where all that is optional is off. */
const LEAST_SKB_STRUCT = 192;
const SMALL_HEAD = 704;
/** Larger heads are whole pages. */
const LARGEST_SLOT = 8192;

/** What a host has for packets, bytes: see {@link PinnedInput}. */
type HostMemory = Pick<PinnedInput, 'unplacedMemory' | 'unplacedIsCounted'>;

/**
 * All sockets together: sums, but the pages of all of them are in the same memory, so `high` is
 * capped once. `charges` is the sum of what the sockets are charged. The sum of upper bounds is known
 * when each is, and they have room on the host.
 */
export function sumPinned(
  estimates: readonly PinnedEstimate[],
  charges: number,
  { unplacedMemory, unplacedIsCounted = false }: HostMemory,
): PinnedEstimate {
  const sum = { low: 0, likely: 0, high: 0 };
  let known = true;
  for (const each of estimates) {
    sum.low += each.low;
    sum.likely += each.likely;
    sum.high += each.high;
    if (each.atMost === null) known = false;
  }
  const cap = unplacedMemory + Math.ceil(1.5 * charges);
  const high = Math.max(sum.likely, Math.min(sum.high, cap));
  return { ...sum, high, atMost: known && (sum.high <= cap || unplacedIsCounted) ? high : null };
}
