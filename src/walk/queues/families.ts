import { KernelError, ReadError } from '../../base/errors.js';
import { once } from '../../base/once.js';
import type { Kernel } from '../../kernel/kernel.js';
import { AlgQueues } from './alg.js';
import { KeptSkbs } from './kept-skbs.js';
import { MptcpQueues } from './mptcp.js';
import { PacketRings } from './packet-rings.js';
import { PsockQueues } from './psock.js';
import {
  type Queue,
  type QueueFinder,
  type QueueName,
  type SockKind,
  unreadQueue,
} from './queue.js';
import { SctpQueues } from './sctp.js';
import type { SkbLists } from './skb-lists.js';
import { TlsQueues } from './tls.js';
import { UdpProducers } from './udp-producers.js';
import { VsockQueues } from './vsock.js';
import { XdpUmem } from './xdp.js';

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
      found(name, () => finder().queues(kind.sock));
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
            return PLAIN_INET.includes(kind.protocol) || kind.type === 'SOCK_RAW'
              ? []
              : [unreadQueue(kind.protocol)];
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
  ...['AF_NETLINK', 'AF_KEY', 'AF_QIPCRTR', 'AF_PPPOX', 'AF_IEEE802154', 'AF_MCTP'],
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
function found(name: QueueName, find: () => Queue[]): Queue[] {
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
