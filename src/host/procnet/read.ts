import { endianness } from 'node:os';
import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import { NO_MEMORY, parseNetlinkTable, readNetTable } from '../proc/net-tables.js';
import type { SocketRecord } from '../socket.js';
import { Room } from '../ss/inet.js';
import type { Sample, Span, SsGroup } from '../ss/read.js';

/**
 * Takes the same sample as `readSample` without ss, from /proc/PID/net. Missing data: bytes received and
 * acknowledged (so only processes that did not run are proved stuck), the age of data, memory charged
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
    const addSocket = (socket: SocketRecord) => {
      if (room.reserve()) sockets.push(socket);
      else lost.leftOut++;
    };
    if (!IN_EVERY_NAMESPACE.some((name) => isReadable(source, namespace, name))) {
      closed.push(namespace);
      continue;
    }
    const table = (name: string) => lines(source, namespace, name);
    for (const inet of INET_TABLES) {
      if (!groups.includes(inet.kind.protocol === 'TCP' ? 'tcp' : 'datagrams')) continue;
      for (const line of table(inet.file)) {
        const socket = parseInetTableRow(line, inet, namespace.inode);
        if (!socket) {
          if (!isSkipped(line)) lost.unreadable++;
          continue;
        }
        total++;
        const unaccepted = socket.inode === 0;
        const idle = socket.recvQ === 0 && socket.sendQ === 0 && !unaccepted;
        if (socket.protocol !== 'TCP' || !idle) addSocket(socket);
      }
    }
    if (groups.includes('unix')) total += Math.max(0, table('unix').length - 1);
    if (groups.includes('others')) {
      const netlink = parseNetlinkTable(table('netlink').join('\n'), namespace.inode);
      for (const socket of netlink) addSocket(socket);
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
    missing: 0,
    torn,
    closed,
    unknown: new Set(),
  };
}

/** At least one of these exists in every readable network namespace. */
const IN_EVERY_NAMESPACE = ['sockstat', 'tcp', 'udp', 'unix', 'netlink'];

/** False if a namespace is not readable. */
function isReadable(source: HostSource, namespace: Namespace, name: string): boolean {
  try {
    readNetTable(source, namespace, name);
    return true;
  } catch (error) {
    if (isHostError(error)) return false;
    throw error;
  }
}

/** Lines of a table, including its heading; none if the kernel has no such table. */
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

/** A table of /proc/net and the type of its rows. */
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
 * Parses a row of /proc/net/tcp, udp, raw and their IPv6 forms (Documentation/networking/proc_net_tcp.rst):
 * `sl local:port remote:port st tx:rx tr:when retrnsmt uid timeout inode ref pointer …`, with `drops` last
 * for udp and raw. Null for the heading, a malformed row, and TIME-WAIT.
 *
 * There is no cookie: the kernel's (hashed) pointer is used instead. rx equals Recv-Q in ss; for a listener
 * it is the accept queue, without its limit.
 */
export function parseInetTableRow(line: string, { kind }: InetTable, netns: number | null): SocketRecord | null {
  const match = ROW.exec(line);
  if (!match) return null;
  const [, local = '', peer = '', st = '', tx = '', rx = '', timer = '', expired = ''] = match;
  const inode = Number(match[8]);
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
    // All zeros if the kernel hides pointers (kptr_restrict).
    cookie: /[1-9a-f]/.test(match[9] ?? '') ? (match[9] ?? '') : '',
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

/** True for rows without a socket that can hold data: the heading, and TIME-WAIT. */
function isSkipped(line: string): boolean {
  return /^\s*sl /.test(line) || ROW.exec(line)?.[3] === '06';
}

const ROW =
  /^\s*\d+: ([0-9A-F]{8,32}:[0-9A-F]{4}) ([0-9A-F]{8,32}:[0-9A-F]{4}) ([0-9A-F]{2}) ([0-9A-F]{8}):([0-9A-F]{8}) ([0-9A-F]{2}):[0-9A-F]{8} ([0-9A-F]{8})\s+\d+\s+\d+ (\d{1,15}) \d+ ([0-9a-f]+)/;

/** include/net/tcp_states.h, in the spelling of ss. */
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

/** Parses an address: 32-bit words in host byte order, and the port as a number. */
function addressOf(text: string, remote: boolean): string {
  const [hex = '', portHex = ''] = text.split(':');
  const bytes = Buffer.from(hex, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  const port = Number.parseInt(portHex, 16);
  const end = remote && port === 0 ? '*' : `${port}`;
  if (bytes.length === 4) return `${bytes.join('.')}:${end}`;
  const groups = Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
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
