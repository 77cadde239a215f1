import type { SocketRecord } from './socket.js';

/**
 * Whether a connection is not accepted yet: it has no file, so no process can hold it. An orphan has no
 * inode either, but is closed on this side, which its state shows.
 */
export function isUnaccepted({ inode, type, state, protocol }: SocketRecord): boolean {
  return (
    inode === 0 &&
    type !== 'SOCK_DGRAM' &&
    type !== 'SOCK_RAW' &&
    protocol !== 'UNIX' &&
    (state === 'ESTABLISHED' || state === 'CLOSE-WAIT')
  );
}

/**
 * Finds the listener in whose accept queue a connection waits, among the sockets of one sample. Like the
 * kernel, prefers a listener bound to the address over one bound to all addresses (inet_lhash2_lookup).
 */
export class AcceptQueues {
  readonly #byPort = new Map<string, SocketRecord[]>();

  constructor(sockets: readonly SocketRecord[]) {
    for (const socket of sockets) {
      if (socket.state !== 'LISTEN' || socket.recvQ === 0 || socket.protocol === 'UNIX') continue;
      const key = portKey(socket);
      const known = this.#byPort.get(key);
      if (known) known.push(socket);
      else this.#byPort.set(key, [socket]);
    }
  }

  /**
   * Listeners in whose queue the connection may wait: several can share a port by SO_REUSEPORT, and the one
   * with the connection is not reported. Empty for an accepted connection, and if no listener is known.
   */
  of(connection: SocketRecord): readonly SocketRecord[] {
    if (!isUnaccepted(connection)) return [];
    const listeners = this.#byPort.get(portKey(connection)) ?? [];
    const address = addressOf(connection);
    const own = listeners.filter((listener) => addressOf(listener) === address);
    return own.length > 0 ? own : listeners.filter((each) => isAnywhere(each, address));
  }
}

/**
 * Whether a socket is one of these (null: all are), or a connection in the queue of one of them: it
 * belongs to the process that will accept it.
 */
export function belongsTo(inodes: ReadonlySet<number> | null, queues: AcceptQueues) {
  return (socket: SocketRecord): boolean =>
    inodes === null ||
    inodes.has(socket.inode) ||
    queues.of(socket).some(({ inode }) => inodes.has(inode));
}

/** `*` means both families in ss; /proc/net has `[::]` for that. */
function isAnywhere(listener: SocketRecord, address: string): boolean {
  const bound = addressOf(listener);
  if (bound === '*') return true;
  return bound === (address.startsWith('[') ? '[::]' : '0.0.0.0');
}

/** The address without port and zone. */
function addressOf({ local }: SocketRecord): string {
  return local.slice(0, local.lastIndexOf(':')).replace(/%[^\]]*/, '');
}

function portKey({ netns, protocol, local }: SocketRecord): string {
  return `${netns} ${protocol} ${local.slice(local.lastIndexOf(':') + 1)}`;
}

/**
 * Finds the peer socket of a connection among the sockets of this host: unix sockets name their peers;
 * TCP peers have swapped addresses, in the same network namespace or, if only one socket matches, in
 * another; loopback addresses only in the same one.
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
      const end = this.#unix.get(socket.peerInode);
      return end && socket.peerInode !== 0 && end !== socket ? end : null;
    }
    const peers = (this.#tcp.get(`${plain(socket.peer)} ${plain(socket.local)}`) ?? []).filter(
      (end) => end !== socket,
    );
    const near = peers.filter(({ netns }) => netns === socket.netns);
    if (near.length > 0 || isLoopback(socket.local))
      return near.length === 1 ? (near[0] ?? null) : null;
    return peers.length === 1 ? (peers[0] ?? null) : null;
  }
}

function isLoopback(address: string): boolean {
  return /^(?:127\.|\[::1\])/.test(plain(address));
}

/** Converts an IPv4-mapped IPv6 address to IPv4, and removes the zone. */
function plain(address: string): string {
  return address.replace(/^\[::ffff:([\d.]+)\]/, '$1').replace(/%[^\]:]*/, '');
}
