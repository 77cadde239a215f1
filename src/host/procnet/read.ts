import { endianness } from 'node:os';
import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import type { SocketRecord } from '../socket.js';
import type { Sample, Span, SsGroup } from '../ss/read.js';
import { Room } from '../ss/room.js';
import { parseNetlinkTable } from './netlink.js';
import { readNetTable } from './table.js';

/**
 * The same sample as `readSample` takes, without ss: from /proc/PID/net. What is missing then: bytes
 * received and acknowledged (so only who stood still is proved), the age of data, what is charged
 * (skmem), cookies, the limits of listeners, and the queues of unix sockets, which are only counted.
 */
export async function readProcfsSample(
  source: HostSource,
  namespaces: readonly Namespace[],
  groups: readonly SsGroup[],
): Promise<Sample> {
  const startedMs = source.now();
  const spans = new Map<number | null, Span>();
  const sockets: SocketRecord[] = [];
  const closed: Namespace[] = [];
  const torn = new Set<number | null>();
  const room = new Room();
  const sums = { unreadable: 0, leftOut: 0 };
  let total = 0;
  for (const namespace of namespaces) {
    const began = source.now();
    const lost = { unreadable: 0, leftOut: 0 };
    const keep = (socket: SocketRecord) => {
      if (room.take()) sockets.push(socket);
      else lost.leftOut++;
    };
    if (!TOLD_EVERYWHERE.some((name) => shows(source, namespace, name))) {
      closed.push(namespace);
      continue;
    }
    const table = (name: string) => lines(source, namespace, name);
    for (const inet of INET_TABLES) {
      if (!groups.includes(inet.kind.protocol === 'TCP' ? 'tcp' : 'datagrams')) continue;
      for (const line of table(inet.file)) {
        const socket = parseInetTableRow(line, inet, namespace.inode);
        if (!socket) {
          if (!isPassedOver(line)) lost.unreadable++;
          continue;
        }
        total++;
        const unaccepted = socket.inode === 0;
        const idle = socket.recvQ === 0 && socket.sendQ === 0 && !unaccepted;
        if (socket.protocol !== 'TCP' || !idle) keep(socket);
      }
    }
    if (groups.includes('unix')) total += Math.max(0, table('unix').length - 1);
    if (groups.includes('others')) {
      const netlink = parseNetlinkTable(table('netlink').join('\n'), namespace.inode);
      for (const socket of netlink) keep(socket);
      total += netlink.length + Math.max(0, table('packet').length - 1);
    }
    sums.unreadable += lost.unreadable;
    sums.leftOut += lost.leftOut;
    if (lost.unreadable + lost.leftOut > 0) torn.add(namespace.inode);
    spans.set(namespace.inode, { startedMs: began, endedMs: source.now() });
  }
  return {
    startedMs,
    endedMs: source.now(),
    spans,
    sockets,
    total,
    ...sums,
    contested: 0,
    failed: 0,
    torn,
    closed,
    unknown: new Set(),
  };
}

/** One of these is in every network namespace that can be looked into. */
const TOLD_EVERYWHERE = ['sockstat', 'tcp', 'udp', 'unix', 'netlink'];

/** False where a namespace cannot be looked into. */
function shows(source: HostSource, namespace: Namespace, name: string): boolean {
  try {
    readNetTable(source, namespace, name);
    return true;
  } catch (error) {
    if (isHostError(error)) return false;
    throw error;
  }
}

/** The lines of a table, heading and all; none when the kernel has no such table. */
function lines(source: HostSource, namespace: Namespace, name: string): string[] {
  try {
    return readNetTable(source, namespace, name)
      .split('\n')
      .filter((line) => line !== '');
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}

/** A table of /proc/net and what its rows are. */
interface InetTable {
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
function isPassedOver(line: string): boolean {
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
