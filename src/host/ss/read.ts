import { hostOrNull, isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { RowCutter } from '../lines.js';
import type { Namespace } from '../namespaces.js';
import { parseNetlinkTable, readNetTable } from '../proc/net-tables.js';
import type { SocketRecord } from '../socket.js';
import { InetScan, parseInetRow, parseSkmem, Room } from './inet.js';
import { UnixScan } from './unix.js';

/** A sample of the sockets, taken between `startedMs` and `endedMs` on the source's clock. */
export interface Sample extends Span {
  /** Time at which each namespace was read, by its inode. */
  readonly spans: ReadonlyMap<number | null, Span>;
  /** Sockets with data in a queue, those that wait to be accepted, and datagram sockets that are not idle. */
  readonly sockets: readonly SocketRecord[];
  /** Inodes of UDP sockets without data, charges and drops, which `sockets` lacks. */
  readonly idle?: ReadonlySet<number>;
  /** Number of all sockets, including idle ones. */
  readonly total: number;
  /** Lines of ss that could not be parsed. */
  readonly unreadable: number;
  /** Rows rejected because several claim one inode: a unix socket's name imitates a row. */
  readonly contested: number;
  /** Sockets beyond the maximum ({@link Room}): counted, but not analyzed. */
  readonly leftOut: number;
  /** Failed calls of ss, whose sockets are missing. */
  readonly failed: number;
  /** TCP and UDP sockets that the kernel counts where ss lists none at all. */
  readonly missing: number;
  /** Namespaces (inodes) with losses: sockets missing in `sockets` may exist there. */
  readonly torn: ReadonlySet<number | null>;
  /** Namespaces that could not be read. */
  readonly closed: readonly Namespace[];
  /** The tables (`mptcp`, `vsock_stream`, …) that this ss does not support. */
  readonly unknown: ReadonlySet<string>;
}

export interface Span {
  readonly startedMs: number;
  readonly endedMs: number;
}

/** `tcp` is the strong evidence; the others are read again between two samples. */
export type SsGroup = 'tcp' | 'datagrams' | 'unix' | 'others';

export const ALL_GROUPS: readonly SsGroup[] = ['tcp', 'datagrams', 'unix', 'others'];

const COMMON = ['-H', '-O', '-n', '-e', '-m', '-a'];

/**
 * Arguments of the `ss` calls that read these groups. Unix sockets are read by a separate call, because
 * a name may contain a newline and thus a forged row; it must not affect TCP. Without `-p`: it scans
 * /proc for every socket, but owners are needed only for a few. TIME-WAIT has no data and no inode, and
 * is most of a busy server's table.
 */
export function ssCalls(groups: readonly SsGroup[]): { group: SsGroup; args: string[] }[] {
  const calls: { group: SsGroup; args: string[] }[] = [];
  const exclude = ['exclude', 'time-wait'];
  if (groups.includes('tcp'))
    calls.push({
      group: 'tcp',
      args: [...COMMON, '-t', '-i', ...(groups.includes('datagrams') ? ['-u', '-w'] : ['-u']), ...exclude],
    });
  else if (groups.includes('datagrams')) calls.push({ group: 'datagrams', args: [...COMMON, '-u', '-w'] });
  if (groups.includes('unix')) calls.push({ group: 'unix', args: [...COMMON, '-x'] });
  if (groups.includes('others'))
    calls.push({ group: 'others', args: [...COMMON, '-A', 'packet,vsock_stream,mptcp,sctp'] });
  return calls;
}

/** Number of namespaces to read at a time. */
const PARALLEL = 2;

/**
 * Reads one sample of these namespaces. `onKept` is called for every TCP and UDP row. Throws
 * `HostError` if ss is missing, fails or hangs, or the only namespace is gone or not accessible; one of
 * several that is gone is omitted, one that is not accessible is listed in `closed`.
 *
 * @param inodes receives the inodes of all sockets, including idle ones
 */
export async function readSample(
  source: HostSource,
  namespaces: readonly Namespace[],
  groups: readonly SsGroup[],
  onKept: (socket: SocketRecord) => void = () => undefined,
  inodes?: Set<number>,
): Promise<Sample> {
  const startedMs = source.now();
  const spans = new Map<number | null, Span>();
  const sockets: SocketRecord[] = [];
  const closed: Namespace[] = [];
  const unknown = new Set<string>();
  const torn = new Set<number | null>();
  const idle = new Set<number>();
  const room = new Room();
  const sums = { total: 0, unreadable: 0, contested: 0, leftOut: 0, failed: 0, missing: 0 };
  const queue = [...namespaces];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const began = source.now();
      try {
        const part = await readNamespace(source, next, groups, room, onKept, idle, inodes);
        for (const socket of part.sockets) sockets.push(socket);
        for (const table of part.unknown) unknown.add(table);
        sums.total += part.total;
        sums.unreadable += part.unreadable;
        sums.contested += part.contested;
        sums.leftOut += part.leftOut;
        sums.failed += part.failed;
        sums.missing += part.missing;
        if (part.unreadable + part.contested + part.leftOut + part.failed + part.missing > 0) torn.add(next.inode);
        spans.set(next.inode, { startedMs: began, endedMs: source.now() });
      } catch (error) {
        const queried = next.own || namespaces.length === 1;
        if (queried || !isHostError(error, 'gone', 'denied', 'netns-closed')) throw error;
        if (error.code !== 'gone') closed.push(next);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return { startedMs, endedMs: source.now(), spans, sockets, idle, ...sums, torn, closed, unknown };
}

interface Part {
  readonly sockets: SocketRecord[];
  total: number;
  unreadable: number;
  contested: number;
  leftOut: number;
  failed: number;
  missing: number;
  readonly unknown: Set<string>;
}

async function readNamespace(
  source: HostSource,
  namespace: Namespace,
  groups: readonly SsGroup[],
  room: Room,
  onKept: (socket: SocketRecord) => void,
  idle: Set<number>,
  inodes?: Set<number>,
): Promise<Part> {
  const sums = { total: 0, unreadable: 0, contested: 0, leftOut: 0, failed: 0, missing: 0 };
  const part: Part = { sockets: [], ...sums, unknown: new Set() };
  const path = namespace.own ? null : namespace.path;
  await Promise.all(
    ssCalls(groups).map(async ({ group, args }) => {
      if (group === 'unix') {
        const scan = new UnixScan(namespace.inode, room, inodes);
        await source.ss(args, path, (bytes) => scan.push(bytes));
        const { sockets, total, unreadable, contested, leftOut } = scan.end();
        const isOurs = ({ inode, peerInode }: SocketRecord) =>
          source.ownPipes?.has(inode) || source.ownPipes?.has(peerInode);
        for (const socket of sockets) if (!isOurs(socket)) part.sockets.push(socket);
        part.total += total;
        part.unreadable += unreadable;
        part.contested += contested;
        part.leftOut += leftOut;
      } else if (group === 'others') await readOthers(source, namespace, args, room, part, inodes);
      else {
        const scan = new InetScan(namespace.inode, onKept, room, inodes, idle);
        await source.ss(args, path, (bytes) => scan.push(bytes));
        scan.end();
        for (const socket of scan.sockets) part.sockets.push(socket);
        part.total += scan.total;
        part.unreadable += scan.unreadable;
        part.leftOut += scan.leftOut;
        // A process that enters a namespace for it would cost more than it tells.
        if (group === 'tcp' && scan.total + scan.unreadable === 0 && namespace.pid !== null)
          part.missing += countedSockets(source, namespace);
      }
    }),
  );
  return part;
}

/** TCP and UDP sockets of a namespace by /proc/net/sockstat and sockstat6; 0 if these cannot be read. */
function countedSockets(source: HostSource, namespace: Namespace): number {
  const counts = ['sockstat', 'sockstat6'].flatMap((name) => {
    const text = hostOrNull(() => readNetTable(source, namespace, name)) ?? '';
    return Array.from(text.matchAll(/^(?:TCP|UDP)6?: inuse (\d{1,9})/gm), ([, digits]) => Number(digits));
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Families that few kernels support completely: unsupported ones have no sockets. */
async function readOthers(
  source: HostSource,
  namespace: Namespace,
  args: readonly string[],
  room: Room,
  part: Part,
  inodes?: Set<number>,
): Promise<void> {
  const addSocket = (socket: SocketRecord) => {
    part.total++;
    inodes?.add(socket.inode);
    if (room.reserve()) part.sockets.push(socket);
    else part.leftOut++;
  };
  const rows = new RowCutter((row) => {
    const socket = parsePacketRow(row, namespace.inode) ?? parseInetRow(row, namespace.inode);
    if (socket) addSocket(socket);
    else part.unreadable++;
  });
  const path = namespace.own ? null : namespace.path;
  try {
    for (const table of await source.ss(args, path, (bytes) => rows.push(bytes))) part.unknown.add(table);
  } catch (error) {
    if (!isHostError(error, 'ss-failed')) throw error;
    part.failed++;
  }
  rows.end();
  part.unreadable += rows.overlong;
  try {
    const table = readNetTable(source, namespace, 'netlink');
    for (const socket of parseNetlinkTable(table, namespace.inode)) addSocket(socket);
  } catch (error) {
    if (!isHostError(error)) throw error;
  }
}

// `p_raw UNCONN 0 0 *:eth0 * ino:1 sk:2 …`, `v_str ESTAB 0 0 2:1024 3:99 ino:…`
const HEAD = /^(p_raw|p_dgr|v_str|v_dgr) +([A-Z0-9-]+) +(\d{1,15}) +(\d{1,15}) +(\S+) +(\S+)(?= |$)/;

const KINDS: Record<string, Pick<SocketRecord, 'family' | 'type' | 'protocol'>> = {
  p_raw: { family: 'AF_PACKET', type: 'SOCK_RAW', protocol: 'PACKET' },
  p_dgr: { family: 'AF_PACKET', type: 'SOCK_DGRAM', protocol: 'PACKET' },
  v_str: { family: 'AF_VSOCK', type: 'SOCK_STREAM', protocol: 'VSOCK' },
  v_dgr: { family: 'AF_VSOCK', type: 'SOCK_DGRAM', protocol: 'VSOCK' },
};

/**
 * Bytes of `ring_rx(blk_size:N,blk_nr:N,…)` and `ring_tx(…)` (packet_show_ring, misc/ss.c); undefined: a figure has more
 * than 32 bits (struct packet_diag_ring).
 */
function ringsOf(details: string): number | undefined {
  let bytes = 0;
  for (const ring of details.matchAll(/ ring_[rt]x\(blk_size:(\d{1,10}),blk_nr:(\d{1,10}),/g)) {
    const [size = 0, count = 0] = ring.slice(1).map(Number);
    if (Math.max(size, count) >= 2 ** 32) return undefined;
    bytes += size * count;
  }
  return bytes;
}

/** Parses a row of `ss -H -O -n -e -m -a -A packet,vsock_stream`; null if malformed. */
function parsePacketRow(line: string, netns: number | null = null): SocketRecord | null {
  const head = HEAD.exec(line);
  const kind = KINDS[head?.[1] ?? ''];
  if (!head || !kind) return null;
  const [recvQ, sendQ] = [Number(head[3]), Number(head[4])];
  const rest = line.slice(head[0].length);
  const ringBytes = ringsOf(rest);
  // 32 bits, as in rows of other kinds.
  if (ringBytes === undefined || Math.max(recvQ, sendQ) >= 2 ** 32) return null;
  return {
    ...kind,
    ...(ringBytes > 0 ? { ringBytes } : {}),
    netns,
    state: head[2] ?? '',
    recvQ,
    sendQ,
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
