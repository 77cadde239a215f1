import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { PageBlock } from '../pages/block.js';
import type { PageReader } from '../pages/pages.js';
import type { SkbReader } from '../skbs/skb.js';
import type { SkbSink } from '../skbs/skb-slots.js';
import { incompleteness } from '../warnings.js';

/** Content of a queue, and its fate. */
export interface QueueFacts {
  /** Received data, data to send, or reports of the kernel about our own packets. */
  readonly payload: 'received' | 'sent' | 'errors' | 'none';
  /**
   * Effect of closing the socket on the queued data. `freed`: the kernel frees it. `kept`: TCP keeps it,
   * without an owner, until the peer has acknowledged everything (tcp_close in net/ipv4/tcp.c; kTLS first
   * sends its remaining data, net/tls/tls_sw.c). `sent`: SCTP sends it before it releases the association
   * (sctp_close in net/sctp/socket.c).
   */
  readonly atClose: 'freed' | 'kept' | 'sent';
  /** Raw packets: with headers, and with retransmitted duplicates. */
  readonly unsorted?: true;
  /** Its first skb may be partly read; MPTCP's reader queue takes over skbs as they are. */
  readonly partlyRead?: true;
}

/** The queues of a sock, with their names in the output, in output order. */
export const QUEUES = {
  receive: { payload: 'received', atClose: 'freed', partlyRead: true },
  outOfOrder: { payload: 'received', atClose: 'kept' },
  backlog: { payload: 'received', atClose: 'freed', unsorted: true },
  error: { payload: 'errors', atClose: 'kept' },
  write: { payload: 'sent', atClose: 'kept' },
  retransmit: { payload: 'sent', atClose: 'kept' },
  /** Memory that TCP keeps beside its queues: for reuse, or for its options. */
  kept: { payload: 'none', atClose: 'freed' },
  /** Reader queue of UDP and MPTCP, filled by the reading process. */
  reader: { payload: 'received', atClose: 'freed', partlyRead: true },
  /** UDP datagrams in per-NUMA-node lists that are not queued yet. */
  producing: { payload: 'received', atClose: 'freed' },
  /** Data that MPTCP took from its subflows and has not ordered yet. */
  subflowBacklog: { payload: 'received', atClose: 'freed', unsorted: true },
  /** AF_PACKET rings, which processes map. */
  rxRing: { payload: 'received', atClose: 'freed' },
  txRing: { payload: 'sent', atClose: 'freed' },
  /** kTLS: decrypted records, records being decrypted, and the one being assembled. */
  tlsReceive: { payload: 'received', atClose: 'freed' },
  tlsHold: { payload: 'received', atClose: 'freed' },
  tlsRecord: { payload: 'received', atClose: 'freed' },
  tlsSend: { payload: 'sent', atClose: 'kept' },
  /** sockmap: incoming skbs and messages, messages being assembled, and a corked message. */
  ingressSkbs: { payload: 'received', atClose: 'freed' },
  ingressPart: { payload: 'received', atClose: 'freed' },
  ingressMessages: { payload: 'received', atClose: 'freed' },
  cork: { payload: 'sent', atClose: 'freed' },
  /** SCTP: messages received incompletely or out of order, and unacknowledged messages. */
  sctpReceive: { payload: 'received', atClose: 'freed' },
  sctpSend: { payload: 'sent', atClose: 'sent' },
  /** AF_VSOCK packets. */
  vsockReceive: { payload: 'received', atClose: 'freed' },
  /** AF_XDP: pages provided by user space. */
  umem: { payload: 'none', atClose: 'freed' },
  /** AF_ALG: data to encrypt or decrypt. */
  cipher: { payload: 'none', atClose: 'freed' },
  /** Family-specific queues that are not supported. */
  own: { payload: 'none', atClose: 'freed' },
} as const satisfies Readonly<Record<string, QueueFacts>>;

export type QueueName = keyof typeof QUEUES;

export const QUEUE_NAMES = Object.keys(QUEUES) as [QueueName, ...QueueName[]];

/** Facts about a queue of this name. */
export function queueFacts(name: QueueName): QueueFacts {
  return QUEUES[name];
}

/** The queues with some property. */
export function queuesThat(holds: (facts: QueueFacts) => boolean): readonly QueueName[] {
  return QUEUE_NAMES.filter((name) => holds(QUEUES[name]));
}

/** A queue of a sock: iterates over its skbs and other memory; see walkQueue in ../queues.ts. */
export interface Queue {
  readonly name: QueueName;
  /** Number of skbs according to the kernel, undefined if it keeps no count. */
  readonly expected: number | undefined;
  readonly entries: () => Iterable<Entry>;
}

/** Protocols whose socks are a `struct udp_sock`. */
export const UDP: readonly string[] = ['UDP', 'UDPLITE'];

/** Properties of a sock that its queues depend on. */
export interface SockKind {
  readonly sock: bigint;
  readonly family: string;
  readonly type: string;
  readonly protocol: string;
  readonly state: string;
}

/** Finds queues that only some socks have. A queue that cannot be reached throws when it is walked. */
export interface QueueFinder {
  queues(sock: bigint): Queue[];
}

/** A queue that reports, when walked, that its content was not read. */
export function unreadQueue(what: string): Queue {
  const entries = (): never => {
    throw unsupportedLayout(`${what} sockets have their own queues, which kdump-mem does not support`);
  };
  return { name: 'own', expected: undefined, entries };
}

/**
 * Memory of a queue beside skbs: a block of a ring, a page of a message, a page lent by user space. Payload
 * is the unread or unsent part, in bytes; 0 if unknown.
 */
export type Held = HeldPage | HeldObject | HeldSkb;

export interface HeldPage {
  readonly kind: 'page';
  /** Address of the `struct page` in which it starts; may be a tail of a compound page. */
  readonly page: bigint;
  readonly payload: number;
}

/** An allocation: a slab slot, or complete pages. */
export interface HeldObject {
  readonly kind: 'object';
  /** Direct-map address. */
  readonly address: bigint;
  readonly payload: number;
}

/** An skb kept for the sake of another one: its bytes are the same. */
export interface HeldSkb {
  readonly kind: 'skb';
  readonly address: bigint;
  readonly payload: number;
}

/** An entry of a queue: the address of an skb, or other memory. */
export type Entry = bigint | Held;

/** Follows memory that a queue holds without an skb to its pages and slots. */
export class HeldReader {
  readonly #kernel: Kernel;
  readonly #pages: PageReader;
  readonly #skbs: SkbReader;

  constructor(kernel: Kernel, pages: PageReader, skbs: SkbReader) {
    this.#kernel = kernel;
    this.#pages = pages;
    this.#skbs = skbs;
  }

  /** Passes references to the sink; an unreadable one makes the answer incomplete. */
  read(held: Held, sink: SkbSink): void {
    try {
      if (held.kind === 'page') this.#page(held.page, sink);
      else if (held.kind === 'skb') this.#skbs.read(held.address, sink);
      else this.#object(held.address, sink);
    } catch (error) {
      const at = held.kind === 'page' ? held.page : held.address;
      const code = incompleteness(error);
      sink.incomplete(code, `${held.kind} ${hex(at)}: ${(error as Error).message}`);
    }
  }

  #page(page: bigint, sink: SkbSink): void {
    const block = this.#pages.block(page);
    if (block.kind === 'slab') {
      throw damaged('a queue holds it as a page, but it belongs to a slab');
    }
    reportPage(block, sink);
  }

  #object(address: bigint, sink: SkbSink): void {
    const page = this.#kernel.pages.pageOf(address);
    if (page === undefined) {
      sink.incomplete(
        'head-not-counted',
        `${hex(address)} is not in the direct map; the memory that it pins was not counted`,
      );
      return;
    }
    const block = this.#pages.block(page);
    if (block.kind === 'page') reportPage(block, sink);
    else sink.soleSlot(block.cache, address);
  }
}

function reportPage({ frame, order, references, free, pool }: PageBlock, sink: SkbSink): void {
  if (free) throw damaged('its page is free');
  sink.page(frame, order, references, undefined, pool);
}
