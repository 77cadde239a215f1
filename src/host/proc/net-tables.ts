import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import type { SocketRecord } from '../socket.js';

/** The memory of a socket (SO_MEMINFO), none of it known. */
export const NO_MEMORY = {
  rmem: 0,
  rcvbuf: 0,
  wmem: 0,
  sndbuf: 0,
  forward: 0,
  wmemQueued: 0,
  optmem: 0,
  backlog: 0,
  drops: 0,
};

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
      skmem: { ...NO_MEMORY, rmem: Number(rmem), wmem: Number(wmem), drops: Number(drops) },
      tcp: null,
      timer: null,
    });
  }
  return sockets;
}

const ROW = /^\S+ +(\d{1,3}) +(\d{1,10}) +[0-9a-f]{8} +(\d{1,15}) +(\d{1,15}) +\S+ +\d+ +(\d{1,15}) +(\d{1,15}) *$/;

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
  return pid === null ? source.readTextIn(path, `/proc/net/${name}`) : source.readText(`/proc/${pid}/net/${name}`);
}

/** Use of TCP's and UDP's limits. Pages are truesize; null: not available. */
export interface NetworkLimits {
  /** Machine-wide, like the pages: net.ipv4.tcp_max_orphans. */
  readonly orphans: Use | null;
  /** Retransmissions after which an orphan is freed: net.ipv4.tcp_orphan_retries of our own network namespace, whose 0 means 8. */
  readonly orphanRetries: number | null;
  /** For each readable network namespace: net.ipv4.tcp_max_tw_buckets is per namespace. */
  readonly timeWait: readonly NamespaceUse[];
  /** Pages of memory charged to TCP, against tcp_mem's pressure and maximum. */
  readonly tcpPages: (Use & { readonly pressure: number }) | null;
  readonly udpPages: (Use & { readonly pressure: number }) | null;
}

export interface Use {
  readonly used: number;
  readonly limit: number;
}

interface NamespaceUse extends Use {
  readonly netns: Namespace;
}

/** tcp_orphan_retries() of net/ipv4/tcp_timer.c. */
const DEFAULT_ORPHAN_RETRIES = 8;
const SOCKSTAT = '/proc/net/sockstat';
const SYSCTL = '/proc/sys/net/ipv4';

/** With fewer in another namespace, the limit does not matter and is not worth a process to read it. */
const MIN_TIME_WAIT = 100;

/**
 * /proc/net/sockstat against net.ipv4.{tcp_max_orphans,tcp_max_tw_buckets,tcp_mem,udp_mem}.
 *
 * In sockstat (net/ipv4/proc.c) `orphan` and `mem` are machine-wide in every namespace, and `tw` is per
 * namespace. The limits of the former exist only in the initial namespace (ipv4_table of
 * net/ipv4/sysctl_net_ipv4.c); from any other namespace they are unknown.
 */
export function readNetworkLimits(source: HostSource, namespaces: readonly Namespace[]): NetworkLimits {
  const sockstat = textIfShown(() => source.readText(SOCKSTAT));
  const sysctl = (name: string) => numbers(textIfShown(() => source.readText(`${SYSCTL}/${name}`)));
  const pages = (line: string, name: string) => {
    const [, pressure, limit] = sysctl(name);
    const of = use(figure(sockstat, line, 'mem'), limit);
    return of && pressure != null ? { ...of, pressure } : null;
  };
  const [retries = null] = sysctl('tcp_orphan_retries');
  return {
    orphans: use(figure(sockstat, 'TCP', 'orphan'), sysctl('tcp_max_orphans')[0]),
    orphanRetries: retries === null ? null : retries || DEFAULT_ORPHAN_RETRIES,
    timeWait: namespaces.flatMap((netns) => {
      const of = timeWaitOf(source, netns);
      return of ? [{ ...of, netns }] : [];
    }),
    tcpPages: pages('TCP', 'tcp_mem'),
    udpPages: pages('UDP', 'udp_mem'),
  };
}

/** Pages that the kernel charges to TCP and UDP sockets, machine-wide in every namespace; null: not available. */
export function chargedSocketPages(source: HostSource): number | null {
  const sockstat = textIfShown(() => source.readText(SOCKSTAT));
  const tcp = figure(sockstat, 'TCP', 'mem');
  return tcp === null ? null : tcp + (figure(sockstat, 'UDP', 'mem') ?? 0);
}

function timeWaitOf(source: HostSource, namespace: Namespace): Use | null {
  const { own, path } = namespace;
  const limit = `${SYSCTL}/tcp_max_tw_buckets`;
  if (own)
    return use(
      figure(
        textIfShown(() => source.readText(SOCKSTAT)),
        'TCP',
        'tw',
      ),
      numbers(textIfShown(() => source.readText(limit)))[0],
    );
  const sockstat = textIfShown(() => readNetTable(source, namespace, 'sockstat'));
  const used = figure(sockstat, 'TCP', 'tw');
  if (used === null || used < MIN_TIME_WAIT) return null;
  // /proc/sys shows the reader's namespace, so the namespace must be entered.
  return use(used, numbers(textIfShown(() => source.readTextIn(path, limit)))[0]);
}

function figure(sockstat: string, line: string, name: string): number | null {
  const text = new RegExp(`^${line}:.* ${name} (\\d{1,15})(?= |$)`, 'm').exec(sockstat)?.[1];
  return text === undefined ? null : Number(text);
}

function numbers(text: string): (number | null)[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => (/^\d{1,15}$/.test(word) ? Number(word) : null));
}

function use(used: number | null, limit: number | null | undefined): Use | null {
  return used === null || limit === null || limit === undefined ? null : { used, limit };
}

/** Empty if not available. */
function textIfShown(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (isHostError(error)) return '';
    throw error;
  }
}
