import { KernelError } from '../../kernel/error.js';
import { hex } from '../../kernel/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { Slot } from '../pages/slab-scan.js';
import type { SlotUse } from '../pages/slot-use.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import { ProtocolCopies } from './protocol-copies.js';
import type { Protocol } from './protocols.js';

/** TCP_CLOSE: what a sock of TCP has come to before its last reference goes. */
const CLOSED = 7;

/** Protocols whose socks go through TCP's states. */
const STATEFUL: readonly string[] = ['TCP', 'TCPv6'];

const UNIX: readonly string[] = ['UNIX', 'UNIX-STREAM'];

/** Tells which slots of the caches of socks hold one. */
export class SockSlots {
  readonly #live: boolean;
  readonly #use: SlotUse;
  readonly #copies: ProtocolCopies;
  readonly #creatorOf: (sock: bigint) => bigint;
  readonly #common;
  readonly #state;
  readonly #cache;
  readonly #byCache = new Map<bigint, Protocol[]>();
  #leaving = 0;
  /** Caches that not socks alone lie in: the allocator merges those that are alike in size. */
  readonly #merged = new Map<bigint, boolean>();

  constructor(kernel: Kernel, registered: readonly Protocol[], use: SlotUse) {
    this.#live = kernel.facts.live;
    this.#use = use;
    this.#copies = new ProtocolCopies(kernel);
    this.#creatorOf = creatorReader(kernel);
    this.#common = new StructReader(kernel, 'sock_common', ['skc_refcnt', 'skc_prot']);
    this.#state = new StructReader(kernel, 'sock_common', ['skc_state']);
    this.#cache = new StructReader(kernel, 'kmem_cache', ['refcount']);
    for (const protocol of registered) {
      if (protocol.cache === 0n) continue;
      this.#byCache.set(protocol.cache, [...(this.#byCache.get(protocol.cache) ?? []), protocol]);
    }
  }

  get caches(): Iterable<bigint> {
    return this.#byCache.keys();
  }

  /**
   * Unix socks that were met without references and are not free: a message that was sent keeps its
   * sender's (`sk_wmem_alloc`), and nothing leads to it.
   */
  get leaving(): number {
    return this.#leaving;
  }

  /** @throws {KernelError} `damaged` where its sock and the allocator differ; {@link ReadError} */
  isSock(slot: Slot): boolean {
    const { cache, object } = slot;
    const sock = this.#common.read(object);
    const protocol = sock.pointer('skc_prot');
    const own = this.#byCache.get(cache) ?? [];
    const known = own.find(({ address }) => address === protocol);
    if (sock.number('skc_refcnt') === 0) {
      this.#checkFree(slot, protocol, known);
      return false;
    }
    if (known || this.#copies.usesCache(protocol, cache)) {
      // The allocator may have given it out after its lists were read.
      if (this.#live || this.#use.isInUse(slot) !== false) return true;
      throw new KernelError('damaged', 'a sock with references lies in a free slot');
    }
    if (own.some(({ address }) => address === this.#creatorOf(object))) {
      throw new KernelError('damaged', `its protocol is ${hex(protocol)}`);
    }
    return false;
  }

  /** A sock without references is on its way out, and was one before. */
  #checkFree(slot: Slot, protocol: bigint, known: Protocol | undefined): void {
    if (this.#live) return;
    const { cache, object, slab } = slot;
    if (known && STATEFUL.includes(known.name)) {
      const state = readOrNot(() => this.#state.read(object).number('skc_state'));
      if (state === undefined || state === CLOSED || this.#use.isInUse(slot) === false) return;
      throw new KernelError('damaged', `a sock without references is in state ${state}`);
    }
    if (known && UNIX.includes(known.name) && this.#use.isInUse(slot) !== false) this.#leaving++;
    // A slab of one slot is KFENCE's, which keeps no lists.
    if (protocol !== 0n || slab.objects === 1 || this.#isMerged(cache)) return;
    if (this.#use.isInUse(slot)) throw new KernelError('damaged', 'a sock in use is blank');
  }

  #isMerged(cache: bigint): boolean {
    let merged = this.#merged.get(cache);
    if (merged === undefined) {
      // One for each that was merged into it, and its first.
      const users = readOrNot(() => this.#cache.read(cache).number('refcount'));
      merged = users !== this.#byCache.get(cache)?.length;
      this.#merged.set(cache, merged);
    }
    return merged;
  }
}

/**
 * Reads `sock.sk_prot_creator`, the protocol that made a sock and that it never changes; 0n where it
 * cannot be told.
 */
function creatorReader(kernel: Kernel): (sock: bigint) => bigint {
  if (!kernel.struct('sock')?.member('sk_prot_creator')) return () => 0n;
  const reader = new StructReader(kernel, 'sock', ['sk_prot_creator']);
  return (sock) => readOrNot(() => reader.read(sock).pointer('sk_prot_creator')) ?? 0n;
}
