import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { pointerPartOf } from '../named-read.js';
import type { Slot } from '../pages/slab-scan.js';
import type { SlotUse } from '../pages/slot-use.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { FoundSockets } from './found-sockets.js';
import type { Protocol } from './protocols.js';
import { isInUse, MOST_INODE, SocketFinder } from './socket.js';

/**
 * What SLUB's debugging (slub_debug=P) leaves in objects never used, and in freed ones: POISON_INUSE,
 * POISON_FREE (include/linux/poison.h).
 */
const POISON: readonly bigint[] = [0x5a5a_5a5a_5a5a_5a5an, 0x6b6b_6b6b_6b6b_6b6bn];

/** SOCK_STREAM, SOCK_SEQPACKET: what accept() waits for has no sock before a connection comes. */
const CONNECTING: readonly number[] = [1, 5];

/** SS_CONNECTED of `socket_state` (include/uapi/linux/net.h). */
const CONNECTED = 3;

/** Slots of the cache that inodes of sockets come from. */
export interface InodeSlots {
  readonly cache: bigint;
  /** Notes the sock of a socket. @throws {KernelError} `damaged`; {@link ReadError} */
  look(slot: Slot): void;
}

/**
 * Sockets by their inodes: finds those of protocols without a slab, and the kernel's own. Undefined for
 * a kernel without the symbol of the cache.
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
  // Since 7.x the socket_alloc lies inside a struct sockfs_inode.
  const type = kernel.struct('sockfs_inode') ? 'sockfs_inode' : 'socket_alloc';
  const inode = new StructReader(kernel, type, [
    ...(['socket.sk', 'socket.ops', 'socket.file', 'vfs_inode.i_ino', 'socket'] as const),
    ...(['socket.type', 'socket.state'] as const),
  ]);
  const finder = new SocketFinder(kernel);
  const backs = new WaysBack(kernel, type, registered);
  const look = (slot: Slot) => {
    const { object } = slot;
    const view = inode.read(object);
    const sk = view.pointer('socket.sk');
    if (POISON.includes(sk)) return;
    const own = view.addressOf('socket');
    if (view.pointer('socket.ops') === 0n) {
      if (kernel.facts.live) return;
      // Every inode has a number from the moment it is made.
      const isBlank = sk === 0n && view.number('vfs_inode.i_ino') === 0;
      if (isBlank && use.isInUse(slot))
        throw new KernelError('damaged', 'an allocated inode is blank');
      if (sk === 0n || !backs.isNamedBy(sk, own)) return;
      // A socket that is closed lets go of its sock first.
      throw new KernelError(
        'damaged',
        `it has no operations, but its sock ${hex(sk)} points to it`,
      );
    }
    if (sk === 0n) {
      const file = view.pointer('socket.file');
      const accepts =
        CONNECTING.includes(view.number('socket.type')) &&
        view.number('socket.state') !== CONNECTED;
      if (kernel.facts.live || accepts) return;
      if (file !== 0n && !isInUse(finder.references(file))) return;
      throw new KernelError('damaged', 'a socket in use has no sock');
    }
    const back = backs.of(sk);
    if (back === 0n && view.pointer('socket.file') !== 0n) {
      // Closing takes the operations away first, and a sock's way back only then.
      throw new KernelError('damaged', `its sock ${hex(sk)} has no socket`);
    }
    if (back !== own) {
      if (kernel.facts.live || !backs.mustLead(object, sk)) return;
      throw new KernelError('damaged', `its sock ${hex(sk)} points to the socket ${hex(back)}`);
    }
    const number = view.number('vfs_inode.i_ino');
    // get_next_ino (fs/inode.c) gives numbers of 32 bits, and never 0.
    if (number > MOST_INODE || (number === 0 && !kernel.facts.live))
      throw new KernelError('damaged', `inode number ${number}`);
    const found = sockets.note(sk, 'slab');
    found.inode = number;
    if (found.file === 0n) found.file = view.pointer('socket.file');
  };
  return { cache, look };
}

/**
 * Ways from a sock back to its socket (`sock.sk_socket`), seen from a socket's inode. The kernel's own
 * sockets have no file, and some of them a sock without a slab of its own: these two pointers are then
 * all that leads to it.
 */
class WaysBack {
  readonly #sock;
  readonly #references: StructReader<'vfs_inode.i_count.counter'> | undefined;
  /** Protocols each of whose socks keeps the socket that it was made with. */
  readonly #keeping: ReadonlySet<bigint>;

  /** @param inode the type of a socket's inode */
  constructor(kernel: Kernel, inode: string, registered: readonly Protocol[]) {
    this.#sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_prot']);
    this.#references = kernel.struct(inode)?.member('vfs_inode.i_count.counter')
      ? new StructReader(kernel, inode, ['vfs_inode.i_count.counter'])
      : undefined;
    // MPTCP gives the socks of its subflows to another socket, and leaves their first ones as they are.
    const keeping = registered.filter(({ name }) => !/^(?:MP)?TCP/.test(name));
    this.#keeping = new Set(keeping.map(({ address }) => address));
  }

  /** @throws {ReadError} */
  of(sock: bigint): bigint {
    return this.#sock.read(sock).pointer('sk_socket');
  }

  /** Whether there is a sock that names this socket. */
  isNamedBy(sock: bigint, socket: bigint): boolean {
    return readOrNot(() => this.of(sock) === socket) ?? false;
  }

  /** Whether the sock of a socket that is in use has to name that socket. */
  mustLead(inode: bigint, sock: bigint): boolean {
    const references = readOrNot(() => this.#references?.read(inode));
    // What was freed stays as it was.
    if (references?.number('vfs_inode.i_count.counter') === 0) return false;
    const protocol = readOrNot(() => this.#sock.read(sock).pointer('__sk_common.skc_prot'));
    // A sock has had a protocol from the moment it was made.
    return protocol === 0n || (protocol !== undefined && this.#keeping.has(protocol));
  }
}
