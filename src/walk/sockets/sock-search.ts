import { ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { SlabScan } from '../pages/slab-scan.js';
import { StructReader } from '../struct-reader.js';
import { Warnings } from '../warnings.js';
import { protocols } from './protocols.js';
import { SockReader } from './sock.js';
import { MOST_INODE, type Socket } from './socket.js';

/**
 * What a sock is known by:
 * - its cookie (`skc_cookie`, 64 bits that inet_diag gave it, never twice since boot);
 * - the number of its inode;
 * - for an inet sock without an inode, its namespace and both addresses, as {@link SockReader} has them.
 */
export type SockKey = `cookie ${bigint}` | `inode ${number}` | `ends ${string}`;

/** The key of an inet sock without an inode. */
export function endsKey(netns: number | null, local: string, peer: string): SockKey {
  return `ends ${netns} ${local} ${peer}`;
}

const INET = [2, 10];

/**
 * Finds socks that hang on no descriptor: the slabs of all protocols are gone through, once for all
 * keys.
 *
 * @returns the socks of each key: none, or more than one that fits
 * @throws {KernelError}, {@link ReadError} when slabs cannot be gone through
 */
export function searchSocks(
  kernel: Kernel,
  keys: Iterable<SockKey>,
): ReadonlyMap<SockKey, readonly Socket[]> {
  const found = new Map<SockKey, Socket[]>(Array.from(keys, (key) => [key, []]));
  if (found.size === 0) return found;
  const kinds = new Set([...found.keys()].map((key) => key.slice(0, key.indexOf(' '))));
  const look = new SockKeys(kernel, kinds);
  const caches = new Map<bigint, Set<bigint>>();
  for (const { cache, address } of protocols(kernel))
    if (cache !== 0n) caches.set(cache, (caches.get(cache) ?? new Set()).add(address));
  const slots = new SlabScan(kernel, new Warnings()).slots(new Set(caches.keys()));
  for (const { cache, object } of slots) {
    try {
      for (const { key, inode } of look.keys(object, caches.get(cache)))
        found.get(key)?.push({ sock: object, file: 0n, fileReferences: 0, inode });
    } catch (error) {
      // A slot that is free or torn; the socket looked for is missed then, and said to be.
      if (!(error instanceof ReadError)) throw error;
    }
  }
  return found;
}

/** Reads the keys that a slot's sock goes by; none when it is free or something else. */
class SockKeys {
  readonly #sock;
  readonly #inode;
  readonly #socks;

  /** `kinds`: the first words of the keys that are looked for. */
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

  *keys(
    address: bigint,
    owners: ReadonlySet<bigint> | undefined,
  ): Generator<{ key: SockKey; inode: number }> {
    const sock = this.#sock.read(address);
    if (sock.number('__sk_common.skc_refcnt') === 0) return;
    // A cookie is 64 bits that nothing else has; its protocol may be a copy (kTLS, sockmap).
    const cookie = sock.pointer('__sk_common.skc_cookie.counter');
    if (cookie !== 0n) yield { key: `cookie ${cookie}`, inode: 0 };
    if (!owners?.has(sock.pointer('__sk_common.skc_prot'))) return;
    const inode = this.#inode.read(sock.pointer('sk_socket'));
    if (inode !== 0) yield { key: `inode ${inode}`, inode };
    if (this.#socks && inode === 0 && INET.includes(sock.number('__sk_common.skc_family'))) {
      const { netns, local, peer, state } = this.#socks.read(address, () => undefined);
      if (state !== 'LISTEN' && local !== null && peer !== null)
        yield { key: endsKey(netns, local, peer), inode: 0 };
    }
  }
}

/** From a `struct socket` to the number of the inode that it is one object with. */
class InodeOfSocket {
  readonly #reader;

  constructor(kernel: Kernel) {
    // Since 7.x the socket_alloc lies inside a struct sockfs_inode.
    const type = kernel.struct('sockfs_inode') ? 'sockfs_inode' : 'socket_alloc';
    this.#reader = new StructReader(kernel, type, ['socket', 'vfs_inode.i_ino']);
  }

  /** 0: there is none, as for the sockets of network devices (tun), which lie elsewhere. */
  read(socket: bigint): number {
    if (socket === 0n) return 0;
    const view = this.#reader.read(socket - BigInt(this.#reader.offset('socket')));
    const number = view.number('vfs_inode.i_ino');
    return number > MOST_INODE ? 0 : number;
  }
}
