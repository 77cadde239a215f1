import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import { parseNetlinkTable } from '../procnet/netlink.js';
import { readNetTable } from '../procnet/table.js';
import type { SocketRecord } from '../socket.js';
import { parseInetRow } from './inet.js';
import { InetScan } from './inet-scan.js';
import { RowCutter } from './lines.js';
import { Room } from './room.js';
import { parseSkmem } from './skmem.js';
import { UnixScan } from './unix.js';

/** The sockets of one moment, on the source's clock: between `startedMs` and `endedMs`. */
export interface Sample extends Span {
  /** When each namespace was read, by its inode. */
  readonly spans: ReadonlyMap<number | null, Span>;
  /** Sockets with something in a queue, those that wait to be accepted, and all datagram sockets. */
  readonly sockets: readonly SocketRecord[];
  /** All sockets, idle ones too. */
  readonly total: number;
  /** Lines of ss that we could not read. */
  readonly unreadable: number;
  /** Rows refused because several claim one inode: a unix socket's name pretends to be a row. */
  readonly contested: number;
  /** Sockets beyond the most that are kept ({@link Room}): counted, and not looked at. */
  readonly leftOut: number;
  /** Calls of ss that failed and whose sockets are missing. */
  readonly failed: number;
  /** The namespaces (inodes) of which something was lost: what is not in `sockets` may exist there. */
  readonly torn: ReadonlySet<number | null>;
  /** The namespaces that could not be read. */
  readonly closed: readonly Namespace[];
  /** The tables (`mptcp`, `vsock_stream`, …) that this ss does not know. */
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
 * The arguments of the `ss` calls that read these groups. Unix sockets have a call of their own,
 * because one's name may hold a newline and so a forged row; it must not reach TCP.
 * Not `-p`: it goes through /proc for every socket, we need it for the few that are in trouble.
 * TIME-WAIT holds no data, has no inode, and is most of a busy server's table.
 */
export function ssCalls(groups: readonly SsGroup[]): { group: SsGroup; args: string[] }[] {
  const calls: { group: SsGroup; args: string[] }[] = [];
  const exclude = ['exclude', 'time-wait'];
  if (groups.includes('tcp'))
    calls.push({
      group: 'tcp',
      args: [
        ...COMMON,
        '-t',
        '-i',
        ...(groups.includes('datagrams') ? ['-u', '-w'] : ['-u']),
        ...exclude,
      ],
    });
  else if (groups.includes('datagrams'))
    calls.push({ group: 'datagrams', args: [...COMMON, '-u', '-w'] });
  if (groups.includes('unix')) calls.push({ group: 'unix', args: [...COMMON, '-x'] });
  if (groups.includes('others'))
    calls.push({ group: 'others', args: [...COMMON, '-A', 'packet,vsock_stream,mptcp,sctp'] });
  return calls;
}

/** So many namespaces are read at a time. */
const AT_ONCE = 2;

/**
 * Reads one sample of these namespaces. `onKept` is told of every TCP and UDP row as it comes.
 * Throws `HostError` when ss is missing, fails or hangs, or the only namespace is gone or closed; one
 * of several that is gone is left out, one that may not be entered is told in `closed`.
 */
export async function readSample(
  source: HostSource,
  namespaces: readonly Namespace[],
  groups: readonly SsGroup[],
  onKept: (socket: SocketRecord) => void = () => undefined,
): Promise<Sample> {
  const startedMs = source.now();
  const spans = new Map<number | null, Span>();
  const sockets: SocketRecord[] = [];
  const closed: Namespace[] = [];
  const unknown = new Set<string>();
  const torn = new Set<number | null>();
  const room = new Room();
  const sums = { total: 0, unreadable: 0, contested: 0, leftOut: 0, failed: 0 };
  const queue = [...namespaces];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const began = source.now();
      try {
        const part = await readNamespace(source, next, groups, room, onKept);
        for (const socket of part.sockets) sockets.push(socket);
        for (const table of part.unknown) unknown.add(table);
        sums.total += part.total;
        sums.unreadable += part.unreadable;
        sums.contested += part.contested;
        sums.leftOut += part.leftOut;
        sums.failed += part.failed;
        if (part.unreadable + part.contested + part.leftOut + part.failed > 0) torn.add(next.inode);
        spans.set(next.inode, { startedMs: began, endedMs: source.now() });
      } catch (error) {
        const asked = next.own || namespaces.length === 1;
        if (asked || !isHostError(error, 'gone', 'denied', 'netns-closed')) throw error;
        if (error.code !== 'gone') closed.push(next);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { startedMs, endedMs: source.now(), spans, sockets, ...sums, torn, closed, unknown };
}

interface Part {
  readonly sockets: SocketRecord[];
  total: number;
  unreadable: number;
  contested: number;
  leftOut: number;
  failed: number;
  readonly unknown: Set<string>;
}

async function readNamespace(
  source: HostSource,
  namespace: Namespace,
  groups: readonly SsGroup[],
  room: Room,
  onKept: (socket: SocketRecord) => void,
): Promise<Part> {
  const part: Part = {
    sockets: [],
    total: 0,
    unreadable: 0,
    contested: 0,
    leftOut: 0,
    failed: 0,
    unknown: new Set(),
  };
  const path = namespace.own ? null : namespace.path;
  await Promise.all(
    ssCalls(groups).map(async ({ group, args }) => {
      if (group === 'unix') {
        const scan = new UnixScan(namespace.inode, room);
        await source.ss(args, path, (bytes) => scan.push(bytes));
        const { sockets, total, unreadable, contested, leftOut } = scan.end();
        for (const socket of sockets) part.sockets.push(socket);
        part.total += total;
        part.unreadable += unreadable;
        part.contested += contested;
        part.leftOut += leftOut;
      } else if (group === 'others') await readOthers(source, namespace, args, room, part);
      else {
        const scan = new InetScan(namespace.inode, onKept, room);
        await source.ss(args, path, (bytes) => scan.push(bytes));
        scan.end();
        for (const socket of scan.sockets) part.sockets.push(socket);
        part.total += scan.total;
        part.unreadable += scan.unreadable;
        part.leftOut += scan.leftOut;
      }
    }),
  );
  return part;
}

/** Families that few kernels have all of: what the kernel does not know is not there. */
async function readOthers(
  source: HostSource,
  namespace: Namespace,
  args: readonly string[],
  room: Room,
  part: Part,
): Promise<void> {
  const keep = (socket: SocketRecord) => {
    part.total++;
    if (room.take()) part.sockets.push(socket);
    else part.leftOut++;
  };
  const rows = new RowCutter((row) => {
    const socket = parsePacketRow(row, namespace.inode) ?? parseInetRow(row, namespace.inode);
    if (socket) keep(socket);
    else part.unreadable++;
  });
  const path = namespace.own ? null : namespace.path;
  try {
    for (const table of await source.ss(args, path, (bytes) => rows.push(bytes)))
      part.unknown.add(table);
  } catch (error) {
    if (!isHostError(error, 'ss-failed')) throw error;
    part.failed++;
  }
  rows.end();
  part.unreadable += rows.overlong;
  try {
    const table = readNetTable(source, namespace, 'netlink');
    for (const socket of parseNetlinkTable(table, namespace.inode)) keep(socket);
  } catch (error) {
    if (!isHostError(error)) throw error;
  }
}

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
function parsePacketRow(line: string, netns: number | null = null): SocketRecord | null {
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
