import type { SocketRecord, TcpInfo } from '../socket.js';
import { parseSkmem } from './skmem.js';
import { socketState } from './state.js';

/**
 * One row of `ss -H -O -n -e -m -i -a` for TCP, UDP, raw, MPTCP or SCTP, or null when it is not one;
 * without `-O` in one line again.
 *
 * The order is that of inet_show_sock in iproute2's misc/ss.c: netid, state, the queues, the
 * addresses; timer, uid, ino, sk, cgroup, v6only, an arrow; skmem and, for TCP, tcp_info. The one
 * text in it that a user may choose is the cgroup's path, which may hold spaces (never a newline):
 * it is taken as everything up to the *last* skmem, so that it cannot add a field of its own.
 */
export function parseInetRow(line: string, netns: number | null = null): SocketRecord | null {
  const head = HEAD.exec(line);
  if (!head) return null;
  const [all, netid = '', state = '', recvQ = '', sendQ = ''] = head;
  const rest = line.slice(all.length);
  const memoryAt = rest.lastIndexOf(' skmem:(');
  const details = (memoryAt < 0 ? rest : rest.slice(0, memoryAt)).replace(ARROW, '');
  const figures = memoryAt < 0 ? '' : rest.slice(memoryAt);
  const cgroupAt = details.indexOf(' cgroup:');
  const ids = cgroupAt < 0 ? details : details.slice(0, cgroupAt);
  const record = {
    recvQ: Number(recvQ),
    sendQ: Number(sendQ),
    inode: Number(INODE.exec(ids)?.[1] ?? 0),
  };
  if (!Number.isSafeInteger(record.recvQ + record.sendQ + record.inode)) return null;
  const kind = KINDS[netid];
  if (!kind) return null;
  const tcp = netid === 'tcp';
  const timer = TIMER.exec(ids);
  const v6only = / v6only:([01])(?= |$)/.exec(details)?.[1] ?? null;
  // What ss read from /proc/net has no skmem, and no v6only either.
  const old = v6only === null && figures !== '';
  const local = addressAsToday(head[5] ?? '', v6only, old);
  const peer = addressAsToday(head[6] ?? '', v6only, old);
  return {
    ...record,
    family: isIpv6(local) || isIpv6(peer) ? 'AF_INET6' : 'AF_INET',
    ...kind,
    netns,
    state: socketState(state),
    local,
    peer,
    peerInode: 0,
    cookie: COOKIE.exec(ids)?.[1] ?? '',
    cgroup: cgroupAt < 0 ? null : details.slice(cgroupAt + 8).replace(/ v6only:[01]$/, ''),
    skmem: parseSkmem(figures),
    tcp: tcp ? parseTcpInfo(figures) : null,
    timer: timer ? { kind: timer[1] ?? '', expired: Number(timer[2]) } : null,
  };
}

// Addresses hold no space: device names (zones) may not. A cut `[` or a missing port is refused.
const HEAD =
  /^(tcp|udp|raw|mptcp|sctp) +([A-Z0-9-]+) +(\d+) +(\d+) +(\S+:(?:\d+|\*)) +(\S+:(?:\d+|\*))(?= |$)/;

const KINDS: Record<string, Pick<SocketRecord, 'type' | 'protocol'>> = {
  tcp: { type: 'SOCK_STREAM', protocol: 'TCP' },
  udp: { type: 'SOCK_DGRAM', protocol: 'UDP' },
  raw: { type: 'SOCK_RAW', protocol: 'RAW' },
  mptcp: { type: 'SOCK_STREAM', protocol: 'MPTCP' },
  sctp: { type: 'SOCK_STREAM', protocol: 'SCTP' },
};

const INODE = / ino:(\d+)/;
const TIMER = / timer:\((on|off|keepalive|timewait|persist|unknown),[^,)]*,(\d{1,9})\)/;
const COOKIE = / sk:([0-9a-f]+)/;

/** Which directions are shut down; very old kernels do not tell. */
const ARROW = / (?:<->|-->|<--|---)$/;

/**
 * An address as ss prints it since iproute2 4.13: before, IPv6 had no brackets, and all of IPv4 was `*`.
 * Today `*` is a socket of both, of which `v6only:0` is told: `old` says that it was not.
 */
function addressAsToday(address: string, v6only: string | null, old: boolean): string {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at);
  const port = address.slice(at + 1);
  if (host === '*') return old ? `0.0.0.0:${port}` : address;
  if (host.startsWith('[') || !host.includes(':')) return address;
  if (host === '::' && v6only === '0') return `*:${port}`;
  const [, ip = '', zone = ''] = /^([^%]*)(%.*)?$/.exec(host) ?? [];
  return `[${ip}]${zone}:${port}`;
}

/** A wildcard `*:80` is an IPv6 socket that takes IPv4 too. */
function isIpv6(address: string): boolean {
  return address.startsWith('[') || address.startsWith('*:');
}

/** The fields of tcp_info that we want; ss leaves out those that are zero. */
const TCP_FIELDS =
  / (rcvmss|bytes_received|bytes_acked|data_segs_in|lastsnd|lastrcv|notsent|rcv_ooopack|segs_(?:in|out)):(\d+)/g;

/**
 * Null when ss gave no tcp_info, which always has an `rcvmss` once a connection stands. Bytes are counted
 * since Linux 4.1, segments (of which each connection has some) since 4.2: without both, they are not known.
 */
function parseTcpInfo(figures: string): TcpInfo | null {
  let rcvMss = 0;
  let counted = false;
  let bytesReceived = 0;
  let dataSegments = 0;
  let lastReceivedMs = 0;
  let outOfOrder = 0;
  let bytesAcked = 0;
  let lastSentMs = 0;
  let notSent = 0;
  for (const [, name, digits] of figures.matchAll(TCP_FIELDS)) {
    const value = Number(digits);
    counted ||= name?.startsWith('bytes_') || name?.startsWith('segs_') || false;
    if (name === 'rcvmss') rcvMss = value;
    else if (name === 'bytes_received') bytesReceived = value;
    else if (name === 'data_segs_in') dataSegments = value;
    else if (name === 'lastrcv') lastReceivedMs = value;
    else if (name === 'bytes_acked') bytesAcked = value;
    else if (name === 'lastsnd') lastSentMs = value;
    else if (name === 'notsent') notSent = value;
    else if (name === 'rcv_ooopack') outOfOrder = value;
  }
  if (rcvMss === 0) return null;
  return {
    bytesReceived: counted && Number.isSafeInteger(bytesReceived) ? bytesReceived : null,
    lastReceivedMs,
    dataSegments,
    rcvMss,
    outOfOrder,
    bytesAcked: counted && Number.isSafeInteger(bytesAcked) ? bytesAcked : null,
    lastSentMs,
    notSent,
  };
}
