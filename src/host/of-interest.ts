import type { SocketRecord } from './socket.js';

/** A TCP socket of which it is not known how much it has received. */
export function lacksFigures({ protocol, tcp, state }: SocketRecord): boolean {
  return protocol === 'TCP' && (tcp?.bytesReceived ?? null) === null && state !== 'LISTEN';
}

/** Something waits in one of its queues, so that its owner matters. */
export function wantsOwner(socket: SocketRecord): boolean {
  return socket.recvQ > 0 || (socket.sendQ > 0 && socket.state !== 'LISTEN');
}

/** It has dropped packets. */
export function drops({ skmem }: SocketRecord): boolean {
  return (skmem?.drops ?? 0) > 0;
}

/** The inodes by whose descriptors their owners are found: other ends’ and waiting ones’ too. */
export function inodesWanted(sockets: readonly SocketRecord[]): ReadonlySet<number> {
  const wanted = new Set<number>();
  for (const socket of sockets)
    for (const inode of [socket.inode, socket.peerInode, ...(socket.waiting ?? [])])
      if (inode !== 0) wanted.add(inode);
  return wanted;
}
