import type { SocketRecord } from './socket.js';

/**
 * Finds the other end of a connection among sockets of this host: unix ends name each other; TCP ends
 * have each other's addresses, in the same network namespace or, when only one socket fits, in another;
 * loopback addresses do not leave theirs.
 */
export class OtherEnds {
  readonly #unix = new Map<number, SocketRecord>();
  readonly #tcp = new Map<string, SocketRecord[]>();

  constructor(sockets: readonly SocketRecord[]) {
    for (const socket of sockets) {
      if (socket.protocol === 'UNIX') this.#unix.set(socket.inode, socket);
      else if (socket.protocol === 'TCP') {
        const key = `${plain(socket.local)} ${plain(socket.peer)}`;
        const known = this.#tcp.get(key);
        if (known) known.push(socket);
        else this.#tcp.set(key, [socket]);
      }
    }
  }

  of(socket: SocketRecord): SocketRecord | null {
    if (socket.protocol === 'UNIX') {
      const other = this.#unix.get(socket.peerInode);
      return other && socket.peerInode !== 0 && other !== socket ? other : null;
    }
    const others = (this.#tcp.get(`${plain(socket.peer)} ${plain(socket.local)}`) ?? []).filter(
      (other) => other !== socket,
    );
    const near = others.filter(({ netns }) => netns === socket.netns);
    if (near.length > 0 || isLoopback(socket.local))
      return near.length === 1 ? (near[0] ?? null) : null;
    return others.length === 1 ? (others[0] ?? null) : null;
  }
}

function isLoopback(address: string): boolean {
  return /^(?:127\.|\[::1\])/.test(plain(address));
}

/** An IPv4 address in IPv6's clothes as itself, without a zone. */
function plain(address: string): string {
  return address.replace(/^\[::ffff:([\d.]+)\]/, '$1').replace(/%[^\]:]*/, '');
}
