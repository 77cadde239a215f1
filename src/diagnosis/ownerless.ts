import type { SocketRecord } from '../host/socket.js';
import type { Kernel } from '../kernel/kernel.js';
import { WalkError } from '../walk/error.js';
import { endsKey, type SockKey, searchSocks } from '../walk/sockets/sock-search.js';
import type { Socket } from '../walk/sockets/socket.js';

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
  readonly #found: ReadonlyMap<SockKey, readonly Socket[]>;

  /** @throws {KernelError}, {@link ReadError} when slabs cannot be gone through */
  constructor(kernel: Kernel, wanted: readonly SocketRecord[]) {
    this.#found = searchSocks(
      kernel,
      wanted.map(keyOf).filter((key) => key !== null),
    );
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
}

function keyOf(record: SocketRecord): SockKey | null {
  const { cookie, inode, protocol, netns, local, peer, skmem } = record;
  // Where the kernel lacks inet_diag, ss reads /proc/net/tcp: no skmem, and its `sk:` is no cookie.
  if (skmem && /^[0-9a-f]{1,16}$/.test(cookie) && !/^0+$/.test(cookie))
    return `cookie ${BigInt(`0x${cookie}`)}`;
  if (inode !== 0) return `inode ${inode}`;
  return protocol === 'TCP' && netns !== null
    ? endsKey(netns, unzoned(local), unzoned(peer))
    : null;
}

/** ss names the device of a link-local address: `[fe80::1%eth0]:80`, `[fe80::1]%eth0:80`. */
function unzoned(address: string): string {
  return address.replace(/%[^\]:]*/, '');
}
