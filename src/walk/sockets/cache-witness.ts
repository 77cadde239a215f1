import { ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import type { Protocol } from './protocols.js';

/** Protocols that take their socks from a cache of their own: `proto_register(…, 1)`. */
const WITH_CACHE: readonly string[] = [
  ...['TCP', 'TCPv6', 'UDP', 'UDPv6', 'UDP-Lite', 'UDPLITEv6', 'RAW', 'RAWv6', 'PING', 'PINGv6'],
  ...['MPTCP', 'MPTCPv6', 'SCTP', 'SCTPv6', 'UNIX', 'UNIX-STREAM'],
];

/** What says the same as `proto.slab`: the socks of the protocol that descriptors lead to. */
interface Witnesses {
  readonly name: string;
  all: number;
  met: number;
}

/**
 * Holds `proto.slab` against what else tells which caches socks lie in: of a protocol that loses its
 * cache, or has another's, no sock is found that no descriptor leads to.
 */
export class CacheWitness {
  readonly #protocols: readonly Protocol[];
  readonly #bySock = new Map<bigint, Witnesses>();
  readonly #witnesses: readonly Witnesses[];

  /** @param socks found by descriptors */
  constructor(kernel: Kernel, protocols: readonly Protocol[], socks: Iterable<bigint>) {
    this.#protocols = protocols;
    const byProtocol = new Map<bigint, Witnesses>();
    for (const { address, name, cache } of protocols)
      if (cache !== 0n) byProtocol.set(address, { name, all: 0, met: 0 });
    this.#witnesses = [...byProtocol.values()];
    const common = new StructReader(kernel, 'sock_common', ['skc_prot']);
    for (const sock of socks) {
      try {
        const own = byProtocol.get(common.read(sock).pointer('skc_prot'));
        if (!own) continue;
        own.all++;
        this.#bySock.set(sock, own);
      } catch (error) {
        // What is not there is told where it is counted.
        if (!(error instanceof ReadError)) throw error;
      }
    }
  }

  /** A sock lies in a slab of its protocol's cache. */
  met(sock: bigint): void {
    const own = this.#bySock.get(sock);
    if (own && this.#bySock.delete(sock)) own.met++;
  }

  /** To be asked when all slabs have been gone through. */
  check(warnings: Warnings): void {
    const lost = 'sockets that no process has open may be missing';
    for (const { name, cache } of this.#protocols) {
      if (cache !== 0n || !WITH_CACHE.includes(name)) continue;
      warnings.add('corrupt', `the protocol ${name} has no slab cache: ${lost}`);
    }
    for (const { name, all, met } of this.#witnesses) {
      // A single one may lie in KFENCE's pool, outside of its slot.
      if (all < 2 || met > 0) continue;
      const message = `none of ${all} open ${name} sockets lies in the slab cache of ${name}: ${lost}`;
      warnings.add('corrupt', message);
    }
  }
}
