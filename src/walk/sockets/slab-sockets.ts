import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import { incompleteness } from '../incompleteness.js';
import { pointerPartOf } from '../named-read.js';
import { type PageLook, SlabScan } from '../pages/slab-scan.js';
import { StructReader } from '../struct-reader.js';
import type { Warnings } from '../warnings.js';
import { CacheWitness } from './cache-witness.js';
import type { FoundSockets } from './found-sockets.js';
import { ProtocolCopies } from './protocol-copies.js';
import { type Protocol, protocols } from './protocols.js';
import { isInUse, MOST_INODE, SocketFinder } from './socket.js';

/**
 * What SLUB's debugging (slub_debug=P) leaves in objects never used, and in freed ones: POISON_INUSE,
 * POISON_FREE (include/linux/poison.h).
 */
const POISON: readonly bigint[] = [0x5a5a_5a5a_5a5a_5a5an, 0x6b6b_6b6b_6b6b_6b6bn];

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
  look?: PageLook,
): void {
  const byCache = new Map<bigint, Protocol[]>();
  const registered = protocols(kernel);
  const witness = new CacheWitness(kernel, registered, found.socks());
  for (const protocol of registered) {
    if (protocol.cache === 0n) continue;
    byCache.set(protocol.cache, [...(byCache.get(protocol.cache) ?? []), protocol]);
  }
  const inodes = inodeCache(kernel, found);
  const caches = new Set(byCache.keys());
  if (inodes) caches.add(inodes.cache);
  const common = new StructReader(kernel, 'sock_common', ['skc_refcnt', 'skc_prot']);
  const copies = new ProtocolCopies(kernel);
  const creatorOf = creatorReader(kernel);
  for (const { cache, object } of new SlabScan(kernel, warnings).slots(caches, progress, look)) {
    try {
      if (cache === inodes?.cache) {
        inodes.look(object);
        continue;
      }
      const sock = common.read(object);
      const protocol = sock.pointer('skc_prot');
      if (sock.number('skc_refcnt') === 0) continue;
      const own = byCache.get(cache) ?? [];
      const isOne = own.some(({ address }) => address === protocol);
      if (isOne || copies.usesCache(protocol, cache)) {
        witness.met(object);
        found.note(object, 'slab');
      } else if (own.some(({ address }) => address === creatorOf(object))) {
        throw new KernelError('damaged', `its protocol is 0x${protocol.toString(16)}`);
      }
    } catch (error) {
      const message = `a slab slot at 0x${object.toString(16)}: ${(error as Error).message}`;
      warnings.add(incompleteness(error), message);
    }
  }
  if (!kernel.facts.live) witness.check(warnings);
}

/**
 * Reads `sock.sk_prot_creator`, the protocol that made a sock and that it never changes; 0n where it
 * cannot be told.
 */
function creatorReader(kernel: Kernel): (sock: bigint) => bigint {
  if (!kernel.struct('sock')?.member('sk_prot_creator')) return () => 0n;
  const reader = new StructReader(kernel, 'sock', ['sk_prot_creator']);
  return (sock) => {
    try {
      return reader.read(sock).pointer('sk_prot_creator');
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      return 0n;
    }
  };
}

/** SOCK_STREAM, SOCK_SEQPACKET: what accept() waits for has no sock before a connection comes. */
const CONNECTING: readonly number[] = [1, 5];

/** SS_CONNECTED of `socket_state` (include/uapi/linux/net.h). */
const CONNECTED = 3;

/** Sockets by their inodes: finds those of protocols without a slab, and the kernel's own. */
function inodeCache(
  kernel: Kernel,
  sockets: FoundSockets,
): { cache: bigint; look: (object: bigint) => void } | undefined {
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
  const sock = new StructReader(kernel, 'sock', ['sk_socket']);
  const look = (object: bigint) => {
    const view = inode.read(object);
    const sk = view.pointer('socket.sk');
    if (POISON.includes(sk) || view.pointer('socket.ops') === 0n) return;
    if (sk === 0n) {
      const file = view.pointer('socket.file');
      const accepts =
        CONNECTING.includes(view.number('socket.type')) &&
        view.number('socket.state') !== CONNECTED;
      if (kernel.facts.live || accepts) return;
      if (file !== 0n && !isInUse(finder.references(file))) return;
      throw new KernelError('damaged', 'a socket that is in use has no sock');
    }
    const back = sock.read(sk).pointer('sk_socket');
    if (back === 0n && view.pointer('socket.file') !== 0n) {
      // Closing takes the operations away first, and a sock's way back only then.
      throw new KernelError('damaged', `its sock at 0x${sk.toString(16)} names no socket`);
    }
    if (back !== view.addressOf('socket')) return;
    const number = view.number('vfs_inode.i_ino');
    if (number > MOST_INODE) throw new KernelError('damaged', `inode number ${number}`);
    const found = sockets.note(sk, 'slab');
    found.inode = number;
    if (found.file === 0n) found.file = view.pointer('socket.file');
  };
  return { cache, look };
}
