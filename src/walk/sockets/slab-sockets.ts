import { damaged, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';

import { SlabScan, type Slot, type SlotsOptions } from '../pages/slab-scan.js';
import { SlotUse } from '../pages/slot-use.js';
import { StructReader } from '../struct-reader.js';
import { addError, type Warnings } from '../warnings.js';
import type { FoundSockets } from './found-sockets.js';
import { inodeSlots } from './inode-slots.js';
import { type Protocol, ProtocolCopies, protocols } from './sock-words.js';

/**
 * Finds sockets in the slabs of socks and of sockets, with and without holders.
 *
 * Slots are recognized by content, in use or free: a free sock has reference count 0, and a closed socket has
 * neither operations nor a sock that points back. Caches are shared by types of similar size, so a slot may
 * contain another type.
 */
export function findInSlabs(kernel: Kernel, sockets: FoundSockets, warnings: Warnings, options?: SlotsOptions): void {
  const registered = protocols(kernel);
  const witness = new CacheWitness(kernel, registered, sockets.socks());
  const use = new SlotUse(kernel, warnings);
  const inodes = inodeSlots(kernel, registered, sockets, use);
  const socks = new SockSlots(kernel, registered, use);
  const caches = new Set(socks.caches);
  if (inodes) caches.add(inodes.cache);
  if (inodes?.fault !== undefined) warnings.add('corrupt', inodes.fault);
  for (const slot of new SlabScan(kernel, warnings).slots(caches, options)) {
    const { cache, object } = slot;
    try {
      if (cache === inodes?.cache) {
        inodes.look(slot);
      } else if (socks.isSock(slot)) {
        witness.met(object);
        sockets.note(object, 'slab');
      }
    } catch (error) {
      addError(warnings, `a slab slot at ${hex(object)}`, error);
    }
  }
  if (kernel.facts.live) return;
  witness.check(warnings);
  checkUnixCount(kernel, sockets.socks(), socks.leaving, warnings);
}

const AF_UNIX = 1;

/**
 * Compares the unix socks found with `unix_nr_socks`, which counts them from allocation to release
 * (unix_create1() and unix_sock_destructor() in net/unix/af_unix.c). Their slab cache is merged with others,
 * so a blank slot is ambiguous.
 *
 * @param socks all socks found, of any family
 * @param leaving unix socks without references whose messages are still queued elsewhere
 */
function checkUnixCount(kernel: Kernel, socks: Iterable<bigint>, leaving: number, warnings: Warnings): void {
  const counter = kernel.symbol('unix_nr_socks');
  const counted = counter === undefined ? undefined : readOrNot(() => kernel.read(counter, 8).getBigInt64(0, true));
  if (counted === undefined) return;
  const common = new StructReader(kernel, 'sock_common', ['skc_family']);
  let found = leaving;
  for (const sock of socks) if (readOrNot(() => common.read(sock).number('skc_family')) === AF_UNIX) found++;
  if (counted === BigInt(found)) return;
  const message = `the kernel counts ${counted} unix sockets, but ${found} were found`;
  warnings.add('corrupt', message);
}

/** Protocols whose socks have a slab cache of their own: `proto_register(…, 1)`. */
const WITH_CACHE: readonly string[] = [
  'TCP',
  'TCPv6',
  'UDP',
  'UDPv6',
  'UDP-Lite',
  'UDPLITEv6',
  'RAW',
  'RAWv6',
  'PING',
  'PINGv6',
  'MPTCP',
  'MPTCPv6',
  'SCTP',
  'SCTPv6',
  'UNIX',
  'UNIX-STREAM',
];

/** Confirmation of `proto.slab`: the socks of the protocol that descriptors lead to. */
interface Witnesses {
  readonly name: string;
  all: number;
  met: number;
}

/**
 * Compares `proto.slab` with other sources of sock caches: if a protocol lost its cache, or points to that of
 * another, its socks without a descriptor would be missed.
 */
class CacheWitness {
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
        // Missing members are reported when they are counted.
        if (!(error instanceof ReadError)) throw error;
      }
    }
  }

  /** A sock is in a slab of its protocol's cache. */
  met(sock: bigint): void {
    const own = this.#bySock.get(sock);
    if (own && this.#bySock.delete(sock)) own.met++;
  }

  /** Reports the result; call it after all slabs were scanned. */
  check(warnings: Warnings): void {
    const lost = 'sockets that no process has open may be missing';
    for (const { name, cache } of this.#protocols) {
      if (cache !== 0n || !WITH_CACHE.includes(name)) continue;
      warnings.add('corrupt', `the protocol ${name} has no slab cache: ${lost}`);
    }
    for (const { name, all, met } of this.#witnesses) {
      // A single one may be in KFENCE's pool, outside of its slot.
      if (all < 2 || met > 0) continue;
      const message = `none of ${all} open ${name} sockets is in the slab cache of ${name}: ${lost}`;
      warnings.add('corrupt', message);
    }
  }
}

/** TCP_CLOSE: state of a TCP sock before its last reference is dropped. */
const CLOSED = 7;

/** Protocols whose socks have TCP states. */
const STATEFUL: readonly string[] = ['TCP', 'TCPv6'];

const UNIX: readonly string[] = ['UNIX', 'UNIX-STREAM'];

/** Determines which slots of sock caches contain a sock. */
class SockSlots {
  readonly #live: boolean;
  readonly #use: SlotUse;
  readonly #copies: ProtocolCopies;
  readonly #creatorOf: (sock: bigint) => bigint;
  readonly #common;
  readonly #state;
  readonly #cache;
  readonly #byCache = new Map<bigint, Protocol[]>();
  #leaving = 0;
  /** Caches with other objects, too: the allocator merges caches of similar size. */
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
   * Number of unix socks seen without references but not freed: a sent message keeps its sender's sock
   * (`sk_wmem_alloc`), to which nothing else points.
   */
  get leaving(): number {
    return this.#leaving;
  }

  /** @throws {KernelError} `damaged` if the sock and the allocator are inconsistent; {@link ReadError} */
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
      // The allocator may have allocated it after its free lists were read.
      if (this.#live || this.#use.isInUse(slot) !== false) return true;
      throw damaged('a sock with references is in a free slab slot');
    }
    if (own.some(({ address }) => address === this.#creatorOf(object))) {
      throw damaged(`its protocol is ${hex(protocol)}`);
    }
    return false;
  }

  /** Checks a sock without references, which is being freed or was freed before. */
  #checkFree(slot: Slot, protocol: bigint, known: Protocol | undefined): void {
    if (this.#live) return;
    const { cache, object, slab } = slot;
    if (known && STATEFUL.includes(known.name)) {
      const state = readOrNot(() => this.#state.read(object).number('skc_state'));
      if (state === undefined || state === CLOSED || this.#use.isInUse(slot) === false) return;
      throw damaged(`a sock without references has state ${state}`);
    }
    if (known && UNIX.includes(known.name) && this.#use.isInUse(slot) !== false) this.#leaving++;
    // A slab with one slot belongs to KFENCE, which has no free lists.
    if (protocol !== 0n || slab.objects === 1 || this.#isMerged(cache)) return;
    if (this.#use.isInUse(slot)) throw damaged('an allocated sock is blank');
  }

  #isMerged(cache: bigint): boolean {
    let merged = this.#merged.get(cache);
    if (merged === undefined) {
      // One for each cache that was merged into it, and one for the first.
      const users = readOrNot(() => this.#cache.read(cache).number('refcount'));
      merged = users !== this.#byCache.get(cache)?.length;
      this.#merged.set(cache, merged);
    }
    return merged;
  }
}

/**
 * Returns a reader of `sock.sk_prot_creator`, the protocol that created a sock, which never changes; 0n if
 * unknown.
 */
function creatorReader(kernel: Kernel): (sock: bigint) => bigint {
  if (!kernel.struct('sock')?.member('sk_prot_creator')) return () => 0n;
  const reader = new StructReader(kernel, 'sock', ['sk_prot_creator']);
  return (sock) => readOrNot(() => reader.read(sock).pointer('sk_prot_creator')) ?? 0n;
}
