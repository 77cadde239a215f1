import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { type PageVisitor, SlabScan, type Slot } from '../pages/slab-scan.js';
import { SlotUse } from '../pages/slot-use.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import type { FoundSockets } from './found-sockets.js';
import { inodeSlots } from './inode-slots.js';
import { ProtocolCopies } from './protocol-copies.js';
import { type Protocol, protocols } from './protocols.js';

/**
 * Finds sockets in the slabs of socks and of sockets, whoever has them.
 *
 * Slots are taken for sockets by what is in them, in use or free: a free sock's reference count is
 * 0, and a closed socket has neither operations nor a sock that points back at it. Caches are
 * shared by what is alike in size, so a slot may hold something else altogether.
 *
 * @param progress told now and then which part of the slabs is done, 0 to 1
 * @param look sees every page frame on the way
 */
export function findInSlabs(
  kernel: Kernel,
  found: FoundSockets,
  warnings: Warnings,
  progress?: (part: number) => void,
  look?: PageVisitor,
): void {
  const registered = protocols(kernel);
  const witness = new CacheWitness(kernel, registered, found.socks());
  const use = new SlotUse(kernel, warnings);
  const inodes = inodeSlots(kernel, registered, found, use);
  const socks = new SockSlots(kernel, registered, use);
  const caches = new Set(socks.caches);
  if (inodes) caches.add(inodes.cache);
  for (const slot of new SlabScan(kernel, warnings).slots(caches, progress, look)) {
    const { cache, object } = slot;
    try {
      if (cache === inodes?.cache) {
        inodes.look(slot);
      } else if (socks.isSock(slot)) {
        witness.met(object);
        found.note(object, 'slab');
      }
    } catch (error) {
      const message = `a slab slot at ${hex(object)}: ${(error as Error).message}`;
      warnings.add(incompleteness(error), message);
    }
  }
  if (kernel.facts.live) return;
  witness.check(warnings);
  checkUnixCount(kernel, found.socks(), socks.leaving, warnings);
}

const AF_UNIX = 1;

/**
 * Holds the unix socks that were found against `unix_nr_socks`, which counts them from the moment one is
 * asked for until it is freed (unix_create1() and unix_sock_destructor() in net/unix/af_unix.c). Their
 * slab cache is one that the allocator merges with others, so that a blank slot tells nothing.
 *
 * @param socks all that were found, of any family
 * @param leaving unix socks without references whose messages still wait somewhere
 */
function checkUnixCount(
  kernel: Kernel,
  socks: Iterable<bigint>,
  leaving: number,
  warnings: Warnings,
): void {
  const counter = kernel.symbol('unix_nr_socks');
  const counted =
    counter === undefined
      ? undefined
      : readOrNot(() => kernel.read(counter, 8).getBigInt64(0, true));
  if (counted === undefined) return;
  const common = new StructReader(kernel, 'sock_common', ['skc_family']);
  let found = leaving;
  for (const sock of socks)
    if (readOrNot(() => common.read(sock).number('skc_family')) === AF_UNIX) found++;
  if (counted === BigInt(found)) return;
  const message = `the kernel counts ${counted} unix sockets, but ${found} were found`;
  warnings.add('corrupt', message);
}

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
      const message = `none of ${all} open ${name} sockets is in the slab cache of ${name}: ${lost}`;
      warnings.add('corrupt', message);
    }
  }
}

/** TCP_CLOSE: what a sock of TCP has come to before its last reference goes. */
const CLOSED = 7;

/** Protocols whose socks go through TCP's states. */
const STATEFUL: readonly string[] = ['TCP', 'TCPv6'];

const UNIX: readonly string[] = ['UNIX', 'UNIX-STREAM'];

/** Tells which slots of the caches of socks hold one. */
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
      throw new KernelError('damaged', 'a sock with references is in a free slab slot');
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
      throw new KernelError('damaged', `a sock without references has state ${state}`);
    }
    if (known && UNIX.includes(known.name) && this.#use.isInUse(slot) !== false) this.#leaving++;
    // A slab of one slot is KFENCE's, which keeps no lists.
    if (protocol !== 0n || slab.objects === 1 || this.#isMerged(cache)) return;
    if (this.#use.isInUse(slot)) throw new KernelError('damaged', 'an allocated sock is blank');
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
