import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import type { Entry } from './entry.js';
import type { Queue, QueueFinder } from './queue.js';
import type { SkbLists } from './skb-lists.js';
import { unreadQueue } from './unread.js';

/** What waits in an association to be put together, or in its stream's order (struct sctp_ulpq). */
const ARRIVED = ['ulpq.reasm', 'ulpq.reasm_uo', 'ulpq.lobby'] as const;

/** Lists of an association's outqueue, and the member of a chunk that links it there. */
const OUTGOING = [
  ['outqueue.out_chunk_list', 'list'],
  ['outqueue.control_chunk_list', 'list'],
  ['outqueue.retransmit', 'transmitted_list'],
  ['outqueue.sacked', 'transmitted_list'],
  ['outqueue.abandoned', 'transmitted_list'],
] as const;

/** What cannot be a chunk's: one socket's memory has no room for as many. */
const MOST_CHUNKS = 2 ** 23;

type ChunkLink = 'list' | 'transmitted_list';

/**
 * What SCTP holds of a socket beside the queues of `struct sock`, association by association
 * (net/sctp/structs.h): messages that have come in part or out of order, and chunks to be sent or
 * acknowledged. What they take is charged to the socket: of one that is charged nothing, nothing is
 * asked.
 */
export class SctpQueues implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #lists: SkbLists;
  readonly #sock;

  constructor(kernel: Kernel, lists: SkbLists) {
    this.#kernel = kernel;
    this.#lists = lists;
    this.#sock = new StructReader(kernel, 'sock', [
      'sk_backlog.rmem_alloc.counter',
      'sk_wmem_queued',
    ]);
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
    // Of other messages, while one is handed over in parts.
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
   * Data that is not read keeps the chunk of the packet that it came in, and so the packet, of which
   * it is a clone (`sctp_ulpevent.chunk`, in the control block; net/sctp/ulpevent.c). A message put
   * together has each part in its frag_list.
   */
  *#packetOf(skb: bigint, seen: Set<bigint>): Generator<Entry> {
    const reader = new StructReader(this.#kernel, 'sk_buff', ['next', 'cb', 'head', 'end']);
    const event = new StructReader(this.#kernel, 'sctp_ulpevent', ['chunk']);
    const shared = new StructReader(this.#kernel, 'skb_shared_info', ['frag_list']);
    const view = reader.read(skb);
    const list = shared.read(view.pointer('head') + BigInt(view.number('end')));
    for (const part of [skb, ...this.#lists.chain(list.pointer('frag_list'))]) {
      const chunk = event.read(part + BigInt(reader.offset('cb'))).pointer('chunk');
      if (chunk !== 0n) yield* this.#packet(chunk, seen);
    }
  }

  /** Packets of which not every chunk has been looked at. */
  *#packets(
    type: 'sctp_endpoint' | 'sctp_association',
    address: bigint,
    seen: Set<bigint>,
  ): Generator<Entry> {
    const paths = ['base.inqueue.in_chunk_list', 'base.inqueue.in_progress'] as const;
    const view = new StructReader(this.#kernel, type, paths).read(address);
    const current = view.pointer('base.inqueue.in_progress');
    if (current !== 0n) yield* this.#packet(current, seen);
    const { list } = new StructReader(this.#kernel, 'sctp_chunk', ['list']).members;
    for (const node of listNodes(this.#kernel, view.addressOf('base.inqueue.in_chunk_list'))) {
      yield* this.#packet(node - BigInt(list.offset), seen);
    }
  }

  /** A chunk that has come, and its packet, which may be part of a larger one (`head_skb`). */
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
    // A chunk on its way into a packet is in two lists.
    const seen = new Set<bigint>();
    for (const association of this.#associations(sock)) {
      const view = reader.read(association);
      for (const [path, link] of OUTGOING) {
        yield* this.#chunks(view.addressOf(path), link, seen);
      }
      for (const node of listNodes(this.#kernel, view.addressOf('peer.transport_addr_list'))) {
        const each = transport.read(node - BigInt(transport.offset('transports')));
        yield* this.#chunks(each.addressOf('transmitted'), 'transmitted_list', seen);
        yield* this.#chunks(each.addressOf('packet.chunk_list'), 'list', seen);
      }
    }
  }

  *#associations(sock: bigint): Generator<bigint> {
    const own = new StructReader(this.#kernel, 'sctp_sock', ['ep']).read(sock).pointer('ep');
    if (own === 0n) return;
    const endpoint = new StructReader(this.#kernel, 'sctp_endpoint', ['base.sk', 'asocs']);
    const view = endpoint.read(own);
    if (view.pointer('base.sk') !== sock) {
      throw new KernelError('damaged', 'its SCTP endpoint is of another socket');
    }
    const { asocs } = new StructReader(this.#kernel, 'sctp_association', ['asocs']).members;
    for (const node of listNodes(this.#kernel, view.addressOf('asocs'))) {
      yield node - BigInt(asocs.offset);
    }
  }

  /** Chunks that we send; with one of a message that was cut up go those that have been acknowledged. */
  *#chunks(head: bigint, link: ChunkLink, seen: Set<bigint>): Generator<Entry> {
    const reader = new StructReader(this.#kernel, 'sctp_chunk', [
      ...(['list', 'transmitted_list', 'frag_list', 'skb', 'msg'] as const),
    ]);
    const message = new StructReader(this.#kernel, 'sctp_datamsg', ['chunks']);
    const chunk = function* (address: bigint): Generator<Entry> {
      if (!isNew(address, seen)) return;
      yield { kind: 'object', address, payload: 0 };
      const skb = reader.read(address).pointer('skb');
      if (skb !== 0n) yield skb;
    };
    for (const node of listNodes(this.#kernel, head)) {
      const address = node - BigInt(reader.offset(link));
      const parts = reader.read(address).pointer('msg');
      yield* chunk(address);
      if (parts === 0n || !isNew(parts, seen)) continue;
      for (const part of listNodes(this.#kernel, message.read(parts).addressOf('chunks'))) {
        yield* chunk(part - BigInt(reader.offset('frag_list')));
      }
    }
  }
}

/** Whether a chunk or a message has not been met. */
function isNew(chunk: bigint, seen: Set<bigint>): boolean {
  if (seen.has(chunk)) return false;
  if (seen.size >= MOST_CHUNKS) throw new KernelError('damaged', 'it has too many chunks');
  seen.add(chunk);
  return true;
}
