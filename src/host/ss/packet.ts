import type { SocketRecord } from '../socket.js';
import { parseSkmem } from './skmem.js';

// `p_raw UNCONN 0 0 *:eth0 * ino:1 sk:2 …`, `v_str ESTAB 0 0 2:1024 3:99 ino:…`
const HEAD =
  /^(p_raw|p_dgr|v_str|v_dgr) +([A-Z0-9-]+) +(\d{1,15}) +(\d{1,15}) +(\S+) +(\S+)(?= |$)/;

const KINDS: Record<string, Pick<SocketRecord, 'family' | 'type' | 'protocol'>> = {
  p_raw: { family: 'AF_PACKET', type: 'SOCK_RAW', protocol: 'PACKET' },
  p_dgr: { family: 'AF_PACKET', type: 'SOCK_DGRAM', protocol: 'PACKET' },
  v_str: { family: 'AF_VSOCK', type: 'SOCK_STREAM', protocol: 'VSOCK' },
  v_dgr: { family: 'AF_VSOCK', type: 'SOCK_DGRAM', protocol: 'VSOCK' },
};

/** One row of `ss -H -O -n -e -m -a -A packet,vsock_stream`, or null when it is not one. */
export function parsePacketRow(line: string, netns: number | null = null): SocketRecord | null {
  const head = HEAD.exec(line);
  const kind = KINDS[head?.[1] ?? ''];
  if (!head || !kind) return null;
  const rest = line.slice(head[0].length);
  return {
    ...kind,
    netns,
    state: head[2] ?? '',
    recvQ: Number(head[3]),
    sendQ: Number(head[4]),
    local: head[5] ?? '',
    peer: head[6] ?? '',
    inode: Number(/ ino:(\d{1,15})/.exec(rest)?.[1] ?? 0),
    peerInode: 0,
    cookie: / sk:([0-9a-f]+)/.exec(rest)?.[1] ?? '',
    cgroup: null,
    skmem: parseSkmem(rest.slice(Math.max(0, rest.lastIndexOf(' skmem:(')))),
    tcp: null,
    timer: null,
  };
}
