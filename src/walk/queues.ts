import { KernelError, ReadError, readOrNot } from '../base/errors.js';
import { once } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import { QUEUE_NAMES, type QueueName } from '../records/queues.js';
import { pointerPartOf } from './named-read.js';
import { MptcpQueues } from './queues/mptcp.js';
import { PacketRings, XdpUmem } from './queues/packet-rings.js';
import { AlgQueues, PsockQueues } from './queues/psock.js';
import { type Entry, type Queue, type QueueFinder, type SockKind, UDP, unreadQueue } from './queues/queue.js';
import { SctpQueues } from './queues/sctp.js';
import { KeptSkbs, SkbLists, UdpProducers } from './queues/skb-lists.js';
import { TlsQueues } from './queues/tls.js';
import { VsockQueues } from './queues/vsock.js';
import { StructReader } from './struct-reader.js';
import { incompleteness, type WarningCode } from './warnings.js';

/** Finds the queues of a sock. Queues that the family or the kernel does not have are absent. */
export class QueueReader {
  readonly #kernel: Kernel;
  readonly #sock;
  readonly #lists: SkbLists;
  readonly #families: FamilyQueues;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#sock = new StructReader(kernel, 'sock', [
      'sk_receive_queue',
      'sk_write_queue',
      'sk_error_queue',
      'sk_backlog.head',
      'sk_backlog.tail',
    ]);
    this.#lists = new SkbLists(kernel);
    this.#families = new FamilyQueues(kernel, this.#lists);
  }

  /** @throws {ReadError} if the sock cannot be read. */
  queues(kind: SockKind): Queue[] {
    const inet = kind.family === 'AF_INET' || kind.family === 'AF_INET6';
    const tcp = inet && kind.protocol === 'TCP' && kind.type === 'SOCK_STREAM';
    const udp = inet && UDP.includes(kind.protocol) && kind.type === 'SOCK_DGRAM';
    const sock = this.#sock.read(kind.sock);
    const ring = (name: QueueName, head: bigint): Queue => ({
      name,
      expected: this.#lengthOrNot(head),
      entries: () => this.#lists.ring(head),
    });
    const backlog = sock.pointer('sk_backlog.head');
    const queues: Queue[] = [
      ring('receive', sock.addressOf('sk_receive_queue')),
      // Packets that arrived while the process held the socket.
      { name: 'backlog', expected: undefined, entries: () => this.#lists.chain(backlog) },
      ring('error', sock.addressOf('sk_error_queue')),
      ring('write', sock.addressOf('sk_write_queue')),
    ];
    // A listener's tcp_sock contains these too, but never uses them, and not every kernel initializes them.
    if (tcp && kind.state !== 'LISTEN') {
      queues.push(
        ...this.#rbtree('outOfOrder', kind.sock, 'tcp_sock', 'out_of_order_queue'),
        ...this.#rbtree('retransmit', kind.sock, 'sock', 'tcp_rtx_queue'),
      );
    }
    const reader = udp ? this.#kernel.struct('udp_sock')?.member('reader_queue') : undefined;
    if (reader) queues.push(ring('reader', kind.sock + BigInt(reader.offset)));
    queues.push(...this.#families.queues(kind));
    return queues.sort((a, b) => QUEUE_NAMES.indexOf(a.name) - QUEUE_NAMES.indexOf(b.name));
  }

  /** Returns a tree of skbs, or nothing if the kernel's type lacks it. */
  #rbtree(name: QueueName, sock: bigint, type: string, member: string): Queue[] {
    const layout = this.#kernel.struct(type)?.member(member);
    if (!layout) return [];
    // A sock may be in two pages of which the dump has one: then only that queue is missing.
    const root = () => pointerPartOf(this.#kernel, `struct ${type}`, sock, sock + BigInt(layout.offset));
    return [{ name, expected: undefined, entries: () => this.#lists.tree(root()) }];
  }

  /** Undefined if the queue's head cannot be read: the walk reports that. */
  #lengthOrNot(head: bigint): number | undefined {
    return readOrNot(() => this.#lists.length(head));
  }
}

/**
 * Visits all entries of a queue. A queue that cannot be followed to its end, or whose number of skbs differs from
 * the kernel's count, is reported as incomplete.
 */
export function walkQueue(
  queue: Queue,
  visit: (entry: Entry) => void,
  incomplete: (code: WarningCode, message: string) => void,
): void {
  let count = 0;
  try {
    for (const entry of queue.entries()) {
      visit(entry);
      count++;
    }
  } catch (error) {
    const code = queueIncompleteness(error);
    const met =
      queue.expected === undefined
        ? `${count} entries`
        : `${count} skbs of the ${queue.expected} that the kernel counts`;
    incomplete(code, `${queue.name} queue, after ${met}: ${(error as Error).message}`);
    return;
  }
  if (queue.expected !== undefined && queue.expected !== count) {
    incomplete('torn-list', `${queue.name} queue: the kernel counts ${queue.expected} skbs, the list has ${count}`);
  }
}

/**
 * Returns the warning code for an error: a queue with an unsupported layout does not affect the socket's
 * other queues.
 */
function queueIncompleteness(error: unknown): WarningCode {
  const unknown = error instanceof KernelError && error.code === 'unsupported-layout';
  return unknown ? 'unsupported-layout' : incompleteness(error);
}

/** Queues specific to a family or protocol, in addition to those of every `struct sock`. */
export class FamilyQueues {
  readonly #packet: () => QueueFinder;
  readonly #udp: () => QueueFinder;
  readonly #mptcp: () => QueueFinder;
  readonly #kept: () => QueueFinder;
  readonly #tls: () => QueueFinder;
  readonly #psock: () => QueueFinder;
  readonly #vsock: () => QueueFinder;
  readonly #xdp: () => QueueFinder;
  readonly #alg: () => QueueFinder;
  readonly #sctp: () => QueueFinder;

  constructor(kernel: Kernel, lists: SkbLists) {
    // Layouts are resolved for the first sock of each kind: most machines lack most kinds.
    this.#packet = once(() => new PacketRings(kernel));
    this.#udp = once(() => new UdpProducers(kernel, lists));
    this.#mptcp = once(() => new MptcpQueues(kernel, lists));
    this.#kept = once(() => new KeptSkbs(kernel));
    this.#tls = once(() => new TlsQueues(kernel, lists));
    this.#psock = once(() => new PsockQueues(kernel, lists));
    this.#vsock = once(() => new VsockQueues(kernel, lists));
    this.#xdp = once(() => new XdpUmem(kernel));
    this.#alg = once(() => new AlgQueues(kernel));
    this.#sctp = once(() => new SctpQueues(kernel, lists));
  }

  queues(kind: SockKind): Queue[] {
    const find = (name: QueueName, finder: () => QueueFinder): Queue[] =>
      readQueues(name, () => finder().queues(kind.sock));
    switch (kind.family) {
      case 'AF_INET':
      case 'AF_INET6': {
        const psock = () => find('ingressSkbs', this.#psock);
        switch (kind.type === 'SOCK_RAW' ? 'RAW' : kind.protocol) {
          case 'TCP':
            if (kind.state === 'LISTEN') return [];
            return [...find('kept', this.#kept), ...find('tlsReceive', this.#tls), ...psock()];
          case 'MPTCP':
            return kind.state === 'LISTEN' ? [] : find('reader', this.#mptcp);
          case 'UDP':
          case 'UDPLITE':
            return [...find('producing', this.#udp), ...psock()];
          case 'SCTP':
            return find('sctpReceive', this.#sctp);
          default:
            return PLAIN_INET.includes(kind.protocol) || kind.type === 'SOCK_RAW' ? [] : [unreadQueue(kind.protocol)];
        }
      }
      case 'AF_UNIX':
        return find('ingressSkbs', this.#psock);
      case 'AF_PACKET':
        return find('rxRing', this.#packet);
      case 'AF_VSOCK':
        return find('vsockReceive', this.#vsock);
      case 'AF_XDP':
        return find('umem', this.#xdp);
      case 'AF_ALG':
        return find('cipher', this.#alg);
      default:
        return isPlain(kind) ? [] : [unreadQueue(kind.family)];
    }
  }
}

/** Inet protocols that use only the queues of `struct sock`. */
const PLAIN_INET: readonly string[] = ['ICMP', 'ICMPV6', 'DCCP', 'L2TP/IP', 'L2TP/IPv6'];

/** Families that do, and families with some protocols that do. */
const PLAIN_FAMILIES: readonly string[] = [
  'AF_NETLINK',
  'AF_KEY',
  'AF_QIPCRTR',
  'AF_PPPOX',
  'AF_IEEE802154',
  'AF_MCTP',
];
const PLAIN_PROTOCOLS: Readonly<Record<string, readonly string[]>> = {
  AF_CAN: ['CAN_RAW'],
  AF_BLUETOOTH: ['HCI'],
  AF_NFC: ['NFC_RAW'],
};

function isPlain({ family, protocol }: SockKind): boolean {
  return PLAIN_FAMILIES.includes(family) || (PLAIN_PROTOCOLS[family] ?? []).includes(protocol);
}

/** Returns the queues; if they cannot be found, a queue that throws the reason when it is walked. */
function readQueues(name: QueueName, find: () => Queue[]): Queue[] {
  try {
    return find();
  } catch (error) {
    if (!(error instanceof ReadError) && !(error instanceof KernelError)) throw error;
    const entries = () => {
      throw error;
    };
    return [{ name, expected: undefined, entries }];
  }
}
