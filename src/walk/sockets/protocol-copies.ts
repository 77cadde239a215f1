import { ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';

/**
 * Protocols that no list names: MPTCP's subflows, kTLS and sockmap give a sock a changed copy of its
 * `struct proto`, which still names the cache that the sock came from.
 */
export class ProtocolCopies {
  readonly #proto;
  readonly #caches = new Map<bigint, bigint>();

  constructor(kernel: Kernel) {
    this.#proto = new StructReader(kernel, 'proto', ['slab']);
  }

  /** Whether what lies in a slab of `cache` and names `protocol` is a sock. */
  usesCache(protocol: bigint, cache: bigint): boolean {
    if (protocol === 0n) return false;
    let named = this.#caches.get(protocol);
    if (named === undefined) {
      named = this.#cacheOf(protocol);
      this.#caches.set(protocol, named);
    }
    return named === cache;
  }

  /** 0n: there is no protocol at this address, and so no sock in the slot that led to it. */
  #cacheOf(protocol: bigint): bigint {
    try {
      return this.#proto.read(protocol).pointer('slab');
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      return 0n;
    }
  }
}
