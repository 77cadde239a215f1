import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Queue, QueueName, SockKind } from '../queues.js';
import { MptcpQueues } from './mptcp.js';
import { PacketRings } from './packet-rings.js';
import { PsockQueues } from './psock.js';
import type { SkbLists } from './skb-lists.js';
import { TlsQueues } from './tls.js';
import { UdpProducers } from './udp-producers.js';
import { VsockQueues } from './vsock.js';
import { XdpUmem } from './xdp.js';

/** Finds queues that only some socks have. One that cannot be reached throws when it is walked. */
export interface QueueFinder {
  queues(sock: bigint): Queue[];
}

/** Queues that go by family or protocol, beside those of every `struct sock`. */
export class FamilyQueues {
  readonly #packet: () => QueueFinder;
  readonly #udp: () => QueueFinder;
  readonly #mptcp: () => QueueFinder;
  readonly #tls: () => QueueFinder;
  readonly #psock: () => QueueFinder;
  readonly #vsock: () => QueueFinder;
  readonly #xdp: () => QueueFinder;

  constructor(kernel: Kernel, lists: SkbLists) {
    // Layouts are resolved when the first sock of a kind is met: most machines lack most kinds.
    this.#packet = once(() => new PacketRings(kernel));
    this.#udp = once(() => new UdpProducers(kernel, lists));
    this.#mptcp = once(() => new MptcpQueues(kernel, lists));
    this.#tls = once(() => new TlsQueues(kernel, lists));
    this.#psock = once(() => new PsockQueues(kernel, lists));
    this.#vsock = once(() => new VsockQueues(kernel, lists));
    this.#xdp = once(() => new XdpUmem(kernel));
  }

  queues(kind: SockKind): Queue[] {
    const find = (name: QueueName, finder: () => QueueFinder): Queue[] =>
      found(name, () => finder().queues(kind.sock));
    switch (kind.family) {
      case 'AF_INET':
      case 'AF_INET6': {
        if (kind.state === 'LISTEN') return [];
        const psock = () => find('ingressSkbs', this.#psock);
        const tcp = kind.protocol === 'TCP' && kind.type === 'SOCK_STREAM';
        if (tcp) return [...find('tlsReceive', this.#tls), ...psock()];
        if (kind.protocol === 'MPTCP') return find('reader', this.#mptcp);
        const udp = kind.protocol === 'UDP' && kind.type === 'SOCK_DGRAM';
        return udp ? [...find('producing', this.#udp), ...psock()] : [];
      }
      case 'AF_UNIX':
        return find('ingressSkbs', this.#psock);
      case 'AF_PACKET':
        return find('rxRing', this.#packet);
      case 'AF_VSOCK':
        return find('vsockReceive', this.#vsock);
      case 'AF_XDP':
        return find('umem', this.#xdp);
      default:
        return [];
    }
  }
}

/** Where queues cannot be found, one of that name says why when it is walked. */
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

function once(make: () => QueueFinder): () => QueueFinder {
  let made: QueueFinder | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
