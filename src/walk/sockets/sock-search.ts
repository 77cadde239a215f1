import { ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { SlabScan } from '../pages/slab-scan.js';
import { StructReader } from '../struct-reader.js';
import { Warnings } from '../warnings.js';
import { SockReader } from './sock.js';
import { protocols } from './sock-words.js';
import { MAX_INODE, type Socket } from './socket.js';

/**
 * Keys of a sock:
 * - its cookie (`skc_cookie`, 64 bits that inet_diag assigned, unique since boot);
 * - its inode number;
 * - for an inet sock without an inode, its namespace and both addresses, as {@link SockReader} has them.
 */
export type SockKey = `cookie ${bigint}` | `inode ${number}` | `ends ${string}`;

/** The key of an inet sock without an inode. */
export function endsKey(netns: number | null, local: string, peer: string): SockKey {
  return `ends ${netns} ${local} ${peer}`;
}

const INET = [2, 10];

/**
 * Finds socks without a descriptor: scans the slabs of all protocols once for all keys.
 *
 * @returns the socks of each key: none, or several if more than one matches
 * @throws {KernelError}, {@link ReadError} if slabs cannot be scanned
 */
export function searchSocks(kernel: Kernel, keys: Iterable<SockKey>): ReadonlyMap<SockKey, readonly Socket[]> {
  const byKey = new Map<SockKey, Socket[]>(Array.from(keys, (key) => [key, []]));
  if (byKey.size === 0) return byKey;
  const kinds = new Set([...byKey.keys()].map((key) => key.slice(0, key.indexOf(' '))));
  const sockKeys = new SockKeys(kernel, kinds);
  const caches = new Map<bigint, Set<bigint>>();
  for (const { cache, address } of protocols(kernel))
    if (cache !== 0n) caches.set(cache, (caches.get(cache) ?? new Set()).add(address));
  const slots = new SlabScan(kernel, new Warnings()).slots(new Set(caches.keys()));
  for (const { cache, object } of slots) {
    try {
      for (const { key, inode } of sockKeys.keys(object, caches.get(cache)))
        byKey.get(key)?.push({ sock: object, file: 0n, fileReferences: 0, inode });
    } catch (error) {
      // A free or inconsistent slot: if it is the requested socket, it is missed, with a warning.
      if (!(error instanceof ReadError)) throw error;
    }
  }
  return byKey;
}

/** Reads the keys of a slot's sock; none if it is free or something else. */
class SockKeys {
  readonly #sock;
  readonly #inode;
  readonly #socks;

  /** @param kinds the first words of the requested keys */
  constructor(kernel: Kernel, kinds: ReadonlySet<string>) {
    this.#sock = new StructReader(kernel, 'sock', [
      '__sk_common.skc_cookie.counter',
      '__sk_common.skc_family',
      '__sk_common.skc_prot',
      '__sk_common.skc_refcnt',
      'sk_socket',
    ]);
    this.#inode = new InodeOfSocket(kernel);
    this.#socks = kinds.has('ends') ? new SockReader(kernel) : null;
  }

  *keys(address: bigint, owners: ReadonlySet<bigint> | undefined): Generator<{ key: SockKey; inode: number }> {
    const sock = this.#sock.read(address);
    if (sock.number('__sk_common.skc_refcnt') === 0) return;
    // A cookie is unique; the sock's protocol may be a copy (kTLS, sockmap).
    const cookie = sock.pointer('__sk_common.skc_cookie.counter');
    if (cookie !== 0n) yield { key: `cookie ${cookie}`, inode: 0 };
    if (!owners?.has(sock.pointer('__sk_common.skc_prot'))) return;
    const inode = this.#inode.read(sock.pointer('sk_socket'));
    if (inode !== 0) yield { key: `inode ${inode}`, inode };
    if (this.#socks && inode === 0 && INET.includes(sock.number('__sk_common.skc_family'))) {
      const { netns, local, peer, state } = this.#socks.read(address, () => undefined);
      if (state !== 'LISTEN' && local !== null && peer !== null) yield { key: endsKey(netns, local, peer), inode: 0 };
    }
  }
}

/** Returns the inode number of a `struct socket`, which is in one object with the inode. */
class InodeOfSocket {
  readonly #reader;

  constructor(kernel: Kernel) {
    // Since 7.x the socket_alloc is inside a struct sockfs_inode.
    const type = kernel.struct('sockfs_inode') ? 'sockfs_inode' : 'socket_alloc';
    this.#reader = new StructReader(kernel, type, ['socket', 'vfs_inode.i_ino']);
  }

  /** 0: none, as for sockets of network devices (tun), which are stored elsewhere. */
  read(socket: bigint): number {
    if (socket === 0n) return 0;
    const view = this.#reader.readContainer(socket, 'socket');
    const number = view.number('vfs_inode.i_ino');
    return number > MAX_INODE ? 0 : number;
  }
}
