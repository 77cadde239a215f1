import type { SocketRecord } from '../host/socket.js';
import { ReadError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { WalkError } from '../walk/error.js';
import { SlabScan } from '../walk/pages/slab-scan.js';
import { protocols } from '../walk/sockets/protocols.js';
import { SockReader } from '../walk/sockets/sock.js';
import { MOST_INODE, type Socket } from '../walk/sockets/socket.js';
import { StructReader } from '../walk/struct-reader.js';
import { Warnings } from '../walk/warnings.js';

/** What a socket on the host and a `struct sock` in memory are known to be the same by. */
type Key = `cookie ${bigint}` | `inode ${number}` | `ends ${string}`;

/**
 * Finds, in a kernel's memory, sockets that no process has open: connections that nobody accepted,
 * orphans, what travels in a message. They hang on no descriptor, so the slabs of all protocols are
 * gone through, once for all of them. (Unix connections that wait to be accepted, ss does not list.)
 * A sock is known by
 * - its cookie (`skc_cookie`, which inet_diag gave it when ss asked, never twice since boot);
 * - without one, the number of its inode;
 * - a TCP socket of /proc/net, by its namespace and both addresses.
 */
export class OwnerlessSocks {
  readonly #found = new Map<Key, Socket[]>();

  /** @throws {KernelError}, {@link ReadError} when slabs cannot be gone through */
  constructor(kernel: Kernel, wanted: readonly SocketRecord[]) {
    for (const record of wanted) {
      const key = keyOf(record);
      if (key) this.#found.set(key, []);
    }
    if (this.#found.size > 0) this.#search(kernel);
  }

  /** @throws {WalkError} `not-a-socket` when there is none, or more than one that fits */
  find(record: SocketRecord): Socket {
    const key = keyOf(record);
    const [socket, ...more] = (key && this.#found.get(key)) ?? [];
    if (socket && more.length === 0) return socket;
    const what = 'no process has it open, and';
    throw new WalkError(
      'not-a-socket',
      socket
        ? `${what} ${more.length + 1} socks in the kernel's memory fit`
        : `${what} no sock in the kernel's memory is it (any more)`,
    );
  }

  #search(kernel: Kernel): void {
    const kinds = new Set([...this.#found.keys()].map((key) => key.slice(0, key.indexOf(' '))));
    const look = new SockLook(kernel, kinds);
    const caches = new Map<bigint, Set<bigint>>();
    for (const { cache, address } of protocols(kernel))
      if (cache !== 0n) caches.set(cache, (caches.get(cache) ?? new Set()).add(address));
    const slots = new SlabScan(kernel, new Warnings()).slots(new Set(caches.keys()));
    for (const { cache, object } of slots) {
      try {
        for (const { key, inode } of look.keys(object, caches.get(cache)))
          this.#found.get(key)?.push({ sock: object, file: 0n, fileReferences: 0, inode });
      } catch (error) {
        // A slot that is free or torn; the socket looked for is missed then, and said to be.
        if (!(error instanceof ReadError)) throw error;
      }
    }
  }
}

function keyOf(record: SocketRecord): Key | null {
  const { cookie, inode, protocol, netns, local, peer, skmem } = record;
  // Where the kernel lacks inet_diag, ss reads /proc/net/tcp: no skmem, and its `sk:` is no cookie.
  if (skmem && /^[0-9a-f]{1,16}$/.test(cookie) && !/^0+$/.test(cookie))
    return `cookie ${BigInt(`0x${cookie}`)}`;
  if (inode !== 0) return `inode ${inode}`;
  return protocol === 'TCP' && netns !== null
    ? `ends ${netns} ${unzoned(local)} ${unzoned(peer)}`
    : null;
}

/** ss names the device of a link-local address: `[fe80::1%eth0]:80`, `[fe80::1]%eth0:80`. */
function unzoned(address: string): string {
  return address.replace(/%[^\]:]*/, '');
}

const INET = [2, 10];

/** Reads the keys that a slot's sock goes by; none when it is free or something else. */
class SockLook {
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
  ): Generator<{ key: Key; inode: number }> {
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
        yield { key: `ends ${netns} ${local} ${peer}`, inode: 0 };
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
