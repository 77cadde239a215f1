import type { SocketRecord } from './socket.js';

/**
 * A connection that its listener has not accepted: no file, so that no process can hold it. An orphan
 * has no inode either, but has been closed on this side, which its state tells.
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
 * Finds the listener in whose accept queue a connection waits, among the sockets of one sample. The kernel
 * has one look for the address first and takes what it is bound to everywhere then (inet_lhash2_lookup).
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
   * The listeners that it may wait at: several share a port by SO_REUSEPORT, and which of them has it is
   * not told. Empty for what is accepted, and where none is known.
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
 * Whether a socket is one of these (null: all are), or a connection that waits at one of them: it
 * belongs to the process that will accept it.
 */
export function belongsTo(inodes: ReadonlySet<number> | null, queues: AcceptQueues) {
  return (socket: SocketRecord): boolean =>
    inodes === null ||
    inodes.has(socket.inode) ||
    queues.of(socket).some(({ inode }) => inodes.has(inode));
}

/** `*` is both families, as ss writes it; /proc/net has `[::]` for that. */
function isAnywhere(listener: SocketRecord, address: string): boolean {
  const bound = addressOf(listener);
  if (bound === '*') return true;
  return bound === (address.startsWith('[') ? '[::]' : '0.0.0.0');
}

/** Without its port and its zone. */
function addressOf({ local }: SocketRecord): string {
  return local.slice(0, local.lastIndexOf(':')).replace(/%[^\]]*/, '');
}

function portKey({ netns, protocol, local }: SocketRecord): string {
  return `${netns} ${protocol} ${local.slice(local.lastIndexOf(':') + 1)}`;
}
