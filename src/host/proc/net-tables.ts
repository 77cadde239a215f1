import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import type { SocketRecord } from '../socket.js';

/**
 * Parses /proc/net/netlink (netlink_native_seq_show): sk, Eth (the protocol), Pid (the port id), Groups,
 * Rmem, Wmem, Dump, Locks, Drops, Inode. ss prints the same without the inode, and thus without the owner.
 */
export function parseNetlinkTable(text: string, netns: number | null): SocketRecord[] {
  const sockets: SocketRecord[] = [];
  for (const line of text.split('\n')) {
    const row = ROW.exec(line);
    if (!row) continue;
    // Port 0 is the kernel's end; ss itself uses sock_diag.
    if (row[2] === '0' || row[1] === '4') continue;
    const [, protocol = '', port = '', rmem = '', wmem = '', drops = '', inode = ''] = row;
    sockets.push({
      family: 'AF_NETLINK',
      type: 'SOCK_RAW',
      protocol: 'NETLINK',
      netns,
      state: 'UNCONN',
      local: `${PROTOCOLS[Number(protocol)] ?? protocol}:${port}`,
      peer: '*',
      inode: Number(inode),
      peerInode: 0,
      cookie: '',
      recvQ: Number(rmem),
      sendQ: Number(wmem),
      cgroup: null,
      skmem: {
        rmem: Number(rmem),
        rcvbuf: 0,
        wmem: Number(wmem),
        sndbuf: 0,
        forward: 0,
        wmemQueued: 0,
        optmem: 0,
        backlog: 0,
        drops: Number(drops),
      },
      tcp: null,
      timer: null,
    });
  }
  return sockets;
}

const ROW =
  /^\S+ +(\d{1,3}) +(\d{1,10}) +[0-9a-f]{8} +(\d{1,15}) +(\d{1,15}) +\S+ +\d+ +(\d{1,15}) +(\d{1,15}) *$/;

/** include/uapi/linux/netlink.h */
const PROTOCOLS: Record<number, string> = {
  0: 'route',
  2: 'usersock',
  4: 'sock_diag',
  6: 'xfrm',
  7: 'selinux',
  9: 'audit',
  10: 'fiblookup',
  11: 'connector',
  12: 'netfilter',
  15: 'uevent',
  16: 'generic',
};

/**
 * Reads a file of /proc/net in a network namespace: through a process in it, else by entering it, which
 * requires a child process. Throws `HostError`.
 */
export function readNetTable(source: HostSource, { pid, path }: Namespace, name: string): string {
  return pid === null
    ? source.readTextIn(path, `/proc/net/${name}`)
    : source.readText(`/proc/${pid}/net/${name}`);
}
