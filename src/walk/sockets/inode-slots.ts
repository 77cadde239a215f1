import { damaged, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import type { Slot } from '../pages/slab-scan.js';
import type { SlotUse } from '../pages/slot-use.js';
import { StructReader, textAt } from '../struct-reader.js';
import type { FoundSockets } from './found-sockets.js';
import type { Protocol } from './sock-words.js';
import { isInUse, MAX_INODE, SocketFinder } from './socket.js';

/**
 * Poison of SLUB debugging (slub_debug=P) in unused and freed objects: POISON_INUSE, POISON_FREE
 * (include/linux/poison.h).
 */
const POISON: readonly bigint[] = [0x5a5a_5a5a_5a5a_5a5an, 0x6b6b_6b6b_6b6b_6b6bn];

/** SOCK_STREAM, SOCK_SEQPACKET: a socket prepared by accept() has no sock until a connection arrives. */
const CONNECTING: readonly number[] = [1, 5];

/** SS_CONNECTED of `socket_state` (include/uapi/linux/net.h). */
const CONNECTED = 3;

/** Slots of the slab cache for socket inodes. */
export interface InodeSlots {
  readonly cache: bigint;
  /** Reason why it cannot be their cache. */
  readonly fault: string | undefined;
  /** Records the sock of a socket. @throws {KernelError} `damaged`; {@link ReadError} */
  look(slot: Slot): void;
}

/**
 * Finds sockets by their inodes: those of protocols without a slab, and the kernel's own. Undefined if the
 * kernel lacks the symbol of the cache.
 */
export function inodeSlots(
  kernel: Kernel,
  registered: readonly Protocol[],
  sockets: FoundSockets,
  use: SlotUse,
): InodeSlots | undefined {
  const symbol = kernel.symbol('sock_inode_cachep');
  if (symbol === undefined) return undefined;
  const cache = pointerPartOf(kernel, 'sock_inode_cachep', symbol, symbol);
  // Since 7.x the socket_alloc is inside a struct sockfs_inode.
  const type = kernel.struct('sockfs_inode') ? 'sockfs_inode' : 'socket_alloc';
  const inode = new StructReader(kernel, type, [
    'socket.sk',
    'socket.ops',
    'socket.file',
    'vfs_inode.i_ino',
    'socket',
    'socket.type',
    'socket.state',
  ]);
  const finder = new SocketFinder(kernel);
  const backs = new SocketBackPointers(kernel, type, registered);
  const look = (slot: Slot) => {
    const { object } = slot;
    const view = inode.read(object);
    const sk = view.pointer('socket.sk');
    if (POISON.includes(sk)) return;
    const own = view.addressOf('socket');
    if (view.pointer('socket.ops') === 0n) {
      if (kernel.facts.live) return;
      // Every inode gets a number when it is created.
      const isBlank = sk === 0n && view.number('vfs_inode.i_ino') === 0;
      if (isBlank && use.isInUse(slot)) throw damaged('an allocated inode is blank');
      if (sk === 0n || !backs.isNamedBy(sk, own)) return;
      // A socket that is closed releases its sock first.
      throw damaged(`it has no operations, but its sock ${hex(sk)} points to it`);
    }
    if (sk === 0n) {
      const file = view.pointer('socket.file');
      const accepts = CONNECTING.includes(view.number('socket.type')) && view.number('socket.state') !== CONNECTED;
      if (kernel.facts.live || accepts) return;
      if (file !== 0n && !isInUse(finder.references(file))) return;
      throw damaged('a socket in use has no sock');
    }
    const back = backs.of(sk);
    if (back === 0n && view.pointer('socket.file') !== 0n) {
      // Closing clears the socket's operations first, and only then the sock's pointer to the socket.
      throw damaged(`its sock ${hex(sk)} has no socket`);
    }
    if (back !== own) {
      if (kernel.facts.live || !backs.mustPointBack(object, sk)) return;
      throw damaged(`its sock ${hex(sk)} points to the socket ${hex(back)}`);
    }
    const number = view.number('vfs_inode.i_ino');
    // get_next_ino (fs/inode.c) returns 32-bit numbers, never 0.
    if (number > MAX_INODE || (number === 0 && !kernel.facts.live)) throw damaged(`inode number ${number}`);
    const entry = sockets.note(sk, 'slab');
    entry.inode = number;
    if (entry.file === 0n) entry.file = view.pointer('socket.file');
  };
  return { cache, fault: cacheFault(kernel, cache), look };
}

/** Name of the cache of sockets' inodes: with a constructor, it is never merged with others. */
const CACHE_NAME = 'sock_inode_cache';
const MAX_NAME = 32;

function cacheFault(kernel: Kernel, cache: bigint): string | undefined {
  // Extracts of earlier versions lack the name.
  const name = readOrNot(() => {
    const reader = StructReader.ifPresent(kernel, 'kmem_cache', ['name']);
    return reader && textAt(kernel, 'the name of a slab cache', reader.read(cache).pointer('name'), MAX_NAME);
  });
  if ((cache & 7n) === 0n && (name ?? CACHE_NAME) === CACHE_NAME) return undefined;
  return `sock_inode_cachep is ${hex(cache)}, which is not the slab cache ${CACHE_NAME}`;
}

/**
 * Pointers from a sock back to its socket (`sock.sk_socket`), checked from a socket's inode. The kernel's own
 * sockets have no file, and some have a sock outside protocol slabs: only these two pointers lead to it.
 */
class SocketBackPointers {
  readonly #sock;
  readonly #socket;
  readonly #references: StructReader<'vfs_inode.i_count.counter'> | undefined;
  /** Protocols whose socks always keep their original socket. */
  readonly #fixedSocketProtocols: ReadonlySet<bigint>;

  /** @param inode type name of a socket's inode */
  constructor(kernel: Kernel, inode: string, registered: readonly Protocol[]) {
    this.#sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_prot']);
    this.#socket = new StructReader(kernel, 'socket', ['sk']);
    this.#references = StructReader.ifPresent(kernel, inode, ['vfs_inode.i_count.counter']);
    // MPTCP moves the socks of its subflows to another socket, and leaves their original sockets unchanged.
    const keeping = registered.filter(({ name }) => !/^(?:MP)?TCP/.test(name));
    this.#fixedSocketProtocols = new Set(keeping.map(({ address }) => address));
  }

  of(sock: bigint): bigint {
    return this.#sock.read(sock).pointer('sk_socket');
  }

  /** Whether a sock names this socket. */
  isNamedBy(sock: bigint, socket: bigint): boolean {
    return readOrNot(() => this.of(sock) === socket) ?? false;
  }

  /** Whether the sock of a socket in use must point back to that socket. */
  mustPointBack(inode: bigint, sock: bigint): boolean {
    const references = readOrNot(() => this.#references?.read(inode));
    // Freed memory keeps its old content.
    if (references?.number('vfs_inode.i_count.counter') === 0) return false;
    // The socket that a subflow was moved to has another sock.
    if (readOrNot(() => this.#socket.read(this.of(sock)).pointer('sk')) === sock) return true;
    const protocol = readOrNot(() => this.#sock.read(sock).pointer('__sk_common.skc_prot'));
    // A sock has a protocol from its creation on.
    return protocol === 0n || (protocol !== undefined && this.#fixedSocketProtocols.has(protocol));
  }
}
