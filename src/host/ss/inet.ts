import type { SocketRecord, TcpInfo } from '../socket.js';
import { parseSkmem } from './skmem.js';
import { socketState } from './state.js';

/**
 * One row of `ss -H -O -n -e -m -i -t -u -a`, or null when it is not one.
 *
 * The order is that of inet_show_sock in iproute2's misc/ss.c: netid, state, the queues, the
 * addresses; timer, uid, ino, sk, cgroup, v6only, an arrow; skmem and, for TCP, tcp_info. The one
 * text in it that a user may choose is the cgroup's path, which may hold spaces (never a newline):
 * it is taken as everything up to the *last* arrow, so that it cannot add a field of its own.
 */
export function parseInetRow(line: string): SocketRecord | null {
  const head = HEAD.exec(line);
  if (!head) return null;
  const [all, netid = '', state = '', recvQ = '', sendQ = '', local = '', peer = ''] = head;
  const rest = line.slice(all.length);
  const arrow = lastArrow(rest);
  const details = arrow < 0 ? rest : rest.slice(0, arrow);
  const figures = arrow < 0 ? '' : rest.slice(arrow);
  const cgroupAt = details.indexOf(' cgroup:');
  const ids = cgroupAt < 0 ? details : details.slice(0, cgroupAt);
  const record = {
    recvQ: Number(recvQ),
    sendQ: Number(sendQ),
    inode: Number(/ ino:(\d+)/.exec(ids)?.[1] ?? 0),
  };
  if (!Object.values(record).every(Number.isSafeInteger)) return null;
  const tcp = netid === 'tcp';
  return {
    ...record,
    family: isIpv6(local) || isIpv6(peer) ? 'AF_INET6' : 'AF_INET',
    type: tcp ? 'SOCK_STREAM' : 'SOCK_DGRAM',
    protocol: tcp ? 'TCP' : 'UDP',
    state: socketState(state),
    local,
    peer,
    peerInode: 0,
    cookie: / sk:([0-9a-f]+)/.exec(ids)?.[1] ?? '',
    cgroup: cgroupAt < 0 ? null : details.slice(cgroupAt + 8).replace(/ v6only:[01]$/, ''),
    skmem: parseSkmem(figures),
    tcp: tcp ? parseTcpInfo(figures) : null,
  };
}

// Addresses hold no space: device names (zones) may not. A cut `[` or a missing port is refused.
const HEAD = /^(tcp|udp) +([A-Z0-9-]+) +(\d+) +(\d+) +(\S+:(?:\d+|\*)) +(\S+:(?:\d+|\*))(?= |$)/;

const ARROWS = [' <-> skmem:(', ' --> skmem:(', ' <-- skmem:(', ' --- skmem:('];

function lastArrow(text: string): number {
  return Math.max(...ARROWS.map((arrow) => text.lastIndexOf(arrow)));
}

/** A wildcard `*:80` is an IPv6 socket that takes IPv4 too. */
function isIpv6(address: string): boolean {
  return address.startsWith('[') || address.startsWith('*:');
}

/** Null when ss gave no tcp_info: fields that are zero are left out, `rcvmss` never is. */
function parseTcpInfo(figures: string): TcpInfo | null {
  const figure = (name: string) => Number(new RegExp(` ${name}:(\\d+)`).exec(figures)?.[1] ?? 0);
  const rcvMss = figure('rcvmss');
  if (rcvMss === 0) return null;
  const bytesReceived = figure('bytes_received');
  return {
    bytesReceived: Number.isSafeInteger(bytesReceived) ? bytesReceived : null,
    lastReceivedMs: figure('lastrcv'),
    dataSegments: figure('data_segs_in'),
    rcvMss,
    outOfOrder: figure('rcv_ooopack'),
  };
}
