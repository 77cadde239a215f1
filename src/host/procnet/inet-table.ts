import { endianness } from 'node:os';
import type { SocketRecord } from '../socket.js';

/** A table of /proc/net and what its rows are. */
export interface InetTable {
  readonly file: 'tcp' | 'tcp6' | 'udp' | 'udp6' | 'raw' | 'raw6';
  readonly kind: Pick<SocketRecord, 'family' | 'type' | 'protocol'>;
}

export const INET_TABLES: readonly InetTable[] = (
  [
    ['tcp', 'SOCK_STREAM', 'TCP'],
    ['udp', 'SOCK_DGRAM', 'UDP'],
    ['raw', 'SOCK_RAW', 'RAW'],
  ] as const
).flatMap(([file, type, protocol]) => [
  { file, kind: { family: 'AF_INET' as const, type, protocol } },
  { file: `${file}6` as const, kind: { family: 'AF_INET6' as const, type, protocol } },
]);

/**
 * A row of /proc/net/tcp, udp, raw and their IPv6 forms (Documentation/networking/proc_net_tcp.rst):
 * `sl local:port remote:port st tx:rx tr:when retrnsmt uid timeout inode ref pointer …`, with `drops`
 * last for udp and raw. Null for the heading, for a row that is none, and for TIME-WAIT.
 *
 * There is no cookie: the kernel's (hashed) pointer serves instead. rx is what Recv-Q is for ss;
 * for a listener it is the accept queue, and its limit is not shown.
 */
export function parseInetTableRow(
  line: string,
  { kind }: InetTable,
  netns: number | null,
): SocketRecord | null {
  const found = ROW.exec(line);
  if (!found) return null;
  const [, local = '', peer = '', st = '', tx = '', rx = '', timer = '', expired = ''] = found;
  const inode = Number(found[8]);
  const tcp = kind.protocol === 'TCP';
  const state = tcp ? TCP_STATES[Number.parseInt(st, 16)] : st === '01' ? 'ESTABLISHED' : 'UNCONN';
  if (state === undefined || state === 'TIME-WAIT') return null;
  const recvQ = Number.parseInt(rx, 16);
  const drops = tcp ? 0 : Number(/ (\d{1,15})\s*$/.exec(line)?.[1] ?? 0);
  return {
    ...kind,
    netns,
    state,
    local: addressOf(local, false),
    peer: addressOf(peer, true),
    inode,
    peerInode: 0,
    // All zeros where the kernel hides pointers (kptr_restrict).
    cookie: /[1-9a-f]/.test(found[9] ?? '') ? (found[9] ?? '') : '',
    recvQ,
    sendQ: Number.parseInt(tx, 16),
    cgroup: null,
    skmem: tcp ? null : { ...NO_MEMORY, rmem: recvQ, drops },
    tcp: null,
    timer:
      tcp && TIMERS[Number(timer)]
        ? { kind: TIMERS[Number(timer)] ?? '', expired: Number.parseInt(expired, 16) }
        : null,
  };
}

/** True for what is no socket with data: the heading, and TIME-WAIT. */
export function isPassedOver(line: string): boolean {
  return /^\s*sl /.test(line) || ROW.exec(line)?.[3] === '06';
}

const ROW =
  /^\s*\d+: ([0-9A-F]{8,32}:[0-9A-F]{4}) ([0-9A-F]{8,32}:[0-9A-F]{4}) ([0-9A-F]{2}) ([0-9A-F]{8}):([0-9A-F]{8}) ([0-9A-F]{2}):[0-9A-F]{8} ([0-9A-F]{8})\s+\d+\s+\d+ (\d{1,15}) \d+ ([0-9a-f]+)/;

const NO_MEMORY = {
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

/** include/net/tcp_states.h, as ss spells them. */
const TCP_STATES: Record<number, string> = {
  1: 'ESTABLISHED',
  2: 'SYN-SENT',
  3: 'SYN-RECV',
  4: 'FIN-WAIT-1',
  5: 'FIN-WAIT-2',
  6: 'TIME-WAIT',
  7: 'UNCONN',
  8: 'CLOSE-WAIT',
  9: 'LAST-ACK',
  10: 'LISTEN',
  11: 'CLOSING',
  12: 'SYN-RECV',
};

/** tcp4_seq_show: timer_active. */
const TIMERS: Record<number, string> = { 1: 'on', 2: 'keepalive', 3: 'timewait', 4: 'persist' };

/** An address is printed as 32-bit words in the machine's byte order, the port as a number. */
function addressOf(text: string, remote: boolean): string {
  const [hex = '', portHex = ''] = text.split(':');
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  const port = Number.parseInt(portHex, 16);
  const end = remote && port === 0 ? '*' : `${port}`;
  if (bytes.length === 4) return `${bytes.join('.')}:${end}`;
  const groups = Array.from({ length: bytes.length / 2 }, (_, index) =>
    bytes.readUInt16BE(index * 2).toString(16),
  );
  if (groups.every((group) => group === '0')) return remote ? `[::]:${end}` : `*:${end}`;
  const mapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:ffff';
  if (mapped) return `[::ffff:${bytes.subarray(12).join('.')}]:${end}`;
  const long = groups.join(':');
  const zeros = [...long.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].sort(
    (a, b) => (b[1]?.length ?? 0) - (a[1]?.length ?? 0),
  )[0];
  if (!zeros?.[1]) return `[${long}]:${end}`;
  const start = zeros.index + (zeros[0].length - zeros[1].length);
  const head = long.slice(0, start).replace(/:$/, '');
  const tail = long.slice(start + zeros[1].length).replace(/^:/, '');
  return `[${head}::${tail}]:${end}`;
}
