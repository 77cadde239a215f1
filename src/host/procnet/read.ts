import { isHostError } from '../error.js';
import type { HostSource } from '../host-source.js';
import type { Namespace } from '../namespaces.js';
import type { SocketRecord } from '../socket.js';
import type { Sample, Span, SsGroup } from '../ss/read.js';
import { Room } from '../ss/room.js';
import { INET_TABLES, isPassedOver, parseInetTableRow } from './inet-table.js';
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
