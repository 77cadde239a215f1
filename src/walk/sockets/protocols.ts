import { KernelError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** A socket protocol: a `struct proto`. */
export interface Protocol {
  readonly address: bigint;
  /** `TCP`, `TCPv6`, `UNIX-STREAM` …; untrusted. */
  readonly name: string;
  /** Its slab cache, which may be shared; 0n: its socks come from kmalloc. */
  readonly cache: bigint;
}

/**
 * Returns every registered protocol (net/core/sock.c, `proto_list`).
 *
 * @throws {KernelError} `no-symbols`; {@link TornList}, {@link ReadError}
 */
export function protocols(kernel: Kernel): Protocol[] {
  const head = kernel.symbol('proto_list');
  if (head === undefined) {
    throw new KernelError('no-symbols', 'protocols are unknown (no symbol proto_list)');
  }
  const reader = new StructReader(kernel, 'proto', ['name', 'slab', 'node']);
  return Array.from(reader.entries(head, 'node'), (proto) => ({
    address: proto.address,
    name: proto.text('name'),
    cache: proto.pointer('slab'),
  }));
}

/**
 * Protocols that are on no list: MPTCP's subflows, kTLS and sockmap give a sock a modified copy of its
 * `struct proto`, which still points to the sock's original slab cache.
 */
export class ProtocolCopies {
  readonly #proto;
  readonly #caches = new Map<bigint, bigint>();

  constructor(kernel: Kernel) {
    this.#proto = new StructReader(kernel, 'proto', ['slab']);
  }

  /** Whether an object in a slab of `cache` that names `protocol` is a sock. */
  usesCache(protocol: bigint, cache: bigint): boolean {
    if (protocol === 0n) return false;
    let named = this.#caches.get(protocol);
    if (named === undefined) {
      named = this.#cacheOf(protocol);
      this.#caches.set(protocol, named);
    }
    return named === cache;
  }

  /** 0n: there is no protocol at this address, so the slot contains no sock. */
  #cacheOf(protocol: bigint): bigint {
    return readOrNot(() => this.#proto.read(protocol).pointer('slab')) ?? 0n;
  }
}
