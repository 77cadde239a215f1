import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { type Entry, type Queue, type QueueFinder, unreadQueue } from './queue.js';
import type { SkbLists } from './skb-lists.js';

/** Received data of an association that is being reassembled or ordered (struct sctp_ulpq). */
const ARRIVED = ['ulpq.reasm', 'ulpq.reasm_uo', 'ulpq.lobby'] as const;

/** Lists of an association's outqueue, and the member that links a chunk there. */
const OUTGOING = [
  ['outqueue.out_chunk_list', 'list'],
  ['outqueue.control_chunk_list', 'list'],
  ['outqueue.retransmit', 'transmitted_list'],
  ['outqueue.sacked', 'transmitted_list'],
  ['outqueue.abandoned', 'transmitted_list'],
] as const;

/** More chunks than the memory of one socket has room for. */
const MAX_CHUNKS = 2 ** 23;

type ChunkLink = 'list' | 'transmitted_list';

/**
 * Memory of an SCTP socket outside the queues of `struct sock`, by association (net/sctp/structs.h): messages
 * received incompletely or out of order, and chunks to be sent or acknowledged. It is charged to the socket,
 * so a socket without a charge is not walked.
 */
export class SctpQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = new StructReader(kernel, 'sock', ['sk_backlog.rmem_alloc.counter', 'sk_wmem_queued']);
  }

  queues(sock: bigint): Queue[] {
    const view = this.#sock.read(sock);
    const charged = view.number('sk_backlog.rmem_alloc.counter') + view.number('sk_wmem_queued');
    if (charged === 0) return [];
    if (!this.#kernel.struct('sctp_sock')) return [unreadQueue('SCTP')];
    return [
      { name: 'sctpReceive', expected: undefined, entries: () => this.#arrived(sock) },
      { name: 'sctpSend', expected: undefined, entries: () => this.#outgoing(sock) },
    ];
  }

  *#arrived(sock: bigint): Generator<Entry> {
    const seen = new Set<bigint>();
    const received = this.#kernel.struct('sock')?.member('sk_receive_queue')?.offset ?? 0;
    for (const skb of this.#lists.ring(sock + BigInt(received))) yield* this.#packetOf(skb, seen);
    const own = new StructReader(this.#kernel, 'sctp_sock', ['ep', 'pd_lobby']).read(sock);
    // Other messages, while one is delivered in parts.
    yield* this.#events(own.addressOf('pd_lobby'), seen);
    const endpoint = own.pointer('ep');
    if (endpoint !== 0n) yield* this.#packets('sctp_endpoint', endpoint, seen);
    const reader = new StructReader(this.#kernel, 'sctp_association', ARRIVED);
    for (const association of this.#associations(sock)) {
      const view = reader.read(association);
      for (const path of ARRIVED) yield* this.#events(view.addressOf(path), seen);
      yield* this.#packets('sctp_association', association, seen);
    }
  }

  *#events(ring: bigint, seen: Set<bigint>): Generator<Entry> {
    for (const skb of this.#lists.ring(ring)) {
      yield skb;
      yield* this.#packetOf(skb, seen);
    }
  }

  /**
   * Yields the chunk that unread data pins, and its packet, of which the data is a clone
   * (`sctp_ulpevent.chunk`, in the control block; net/sctp/ulpevent.c). A reassembled message has its parts
   * in its frag_list.
   */
  *#packetOf(skb: bigint, seen: Set<bigint>): Generator<Entry> {
    const reader = new StructReader(this.#kernel, 'sk_buff', ['next', 'cb', 'head', 'end']);
    const event = new StructReader(this.#kernel, 'sctp_ulpevent', ['chunk']);
    const shared = new StructReader(this.#kernel, 'skb_shared_info', ['frag_list']);
    const view = reader.read(skb);
    const list = shared.read(view.pointer('head') + BigInt(view.number('end')));
    for (const part of [skb, ...this.#lists.chain(list.pointer('frag_list'))]) {
      const chunk = event.read(reader.addressOf(part, 'cb')).pointer('chunk');
      if (chunk !== 0n) yield* this.#packet(chunk, seen);
    }
  }

  /** Packets with unprocessed chunks. */
  *#packets(type: 'sctp_endpoint' | 'sctp_association', address: bigint, seen: Set<bigint>): Generator<Entry> {
    const paths = ['base.inqueue.in_chunk_list', 'base.inqueue.in_progress'] as const;
    const view = new StructReader(this.#kernel, type, paths).read(address);
    const current = view.pointer('base.inqueue.in_progress');
    if (current !== 0n) yield* this.#packet(current, seen);
    const chunk = new StructReader(this.#kernel, 'sctp_chunk', ['list']);
    const head = view.addressOf('base.inqueue.in_chunk_list');
    for (const address of chunk.entryAddresses(head, 'list')) yield* this.#packet(address, seen);
  }

  /** Yields a received chunk and its packet, which may be part of a larger one (`head_skb`). */
  *#packet(chunk: bigint, seen: Set<bigint>): Generator<Entry> {
    if (!isNew(chunk, seen)) return;
    const view = new StructReader(this.#kernel, 'sctp_chunk', ['skb', 'head_skb']).read(chunk);
    yield { kind: 'object', address: chunk, payload: 0 };
    const whole = view.pointer('head_skb') || view.pointer('skb');
    if (whole !== 0n) yield { kind: 'skb', address: whole, payload: 0 };
  }

  *#outgoing(sock: bigint): Generator<Entry> {
    const paths = OUTGOING.map(([path]) => path);
    const all = ['peer.transport_addr_list', ...paths] as const;
    const reader = new StructReader(this.#kernel, 'sctp_association', all);
    const transport = new StructReader(this.#kernel, 'sctp_transport', [
      'transports',
      'transmitted',
      'packet.chunk_list',
    ]);
    // A chunk that is being added to a packet is in two lists.
    const seen = new Set<bigint>();
    for (const association of this.#associations(sock)) {
      const view = reader.read(association);
      for (const [path, link] of OUTGOING) {
        yield* this.#chunks(view.addressOf(path), link, seen);
      }
      const transports = view.addressOf('peer.transport_addr_list');
      for (const view of transport.entries(transports, 'transports')) {
        yield* this.#chunks(view.addressOf('transmitted'), 'transmitted_list', seen);
        yield* this.#chunks(view.addressOf('packet.chunk_list'), 'list', seen);
      }
    }
  }

  *#associations(sock: bigint): Generator<bigint> {
    const own = new StructReader(this.#kernel, 'sctp_sock', ['ep']).read(sock).pointer('ep');
    if (own === 0n) return;
    const endpoint = new StructReader(this.#kernel, 'sctp_endpoint', ['base.sk', 'asocs']);
    const view = endpoint.read(own);
    if (view.pointer('base.sk') !== sock) throw damaged('its SCTP endpoint belongs to another socket');
    const association = new StructReader(this.#kernel, 'sctp_association', ['asocs']);
    yield* association.entryAddresses(view.addressOf('asocs'), 'asocs');
  }

  /** Yields outgoing chunks; a chunk of a fragmented message also keeps the message's acknowledged chunks. */
  *#chunks(head: bigint, link: ChunkLink, seen: Set<bigint>): Generator<Entry> {
    const reader = new StructReader(this.#kernel, 'sctp_chunk', [
      'list',
      'transmitted_list',
      'frag_list',
      'skb',
      'msg',
    ]);
    const message = new StructReader(this.#kernel, 'sctp_datamsg', ['chunks']);
    const chunk = function* (address: bigint): Generator<Entry> {
      if (!isNew(address, seen)) return;
      yield { kind: 'object', address, payload: 0 };
      const skb = reader.read(address).pointer('skb');
      if (skb !== 0n) yield skb;
    };
    for (const address of reader.entryAddresses(head, link)) {
      const parts = reader.read(address).pointer('msg');
      yield* chunk(address);
      if (parts === 0n || !isNew(parts, seen)) continue;
      const list = message.read(parts).addressOf('chunks');
      for (const part of reader.entryAddresses(list, 'frag_list')) yield* chunk(part);
    }
  }
}

/** Whether a chunk or a message is seen for the first time. */
function isNew(chunk: bigint, seen: Set<bigint>): boolean {
  if (seen.has(chunk)) return false;
  if (seen.size >= MAX_CHUNKS) throw damaged('it has too many chunks');
  seen.add(chunk);
  return true;
}
