import { isHostError } from '../error.js';
import type { Namespace } from '../namespaces.js';
import type { SocketRecord } from '../socket.js';
import type { HostSource } from '../source.js';
import type { Sample, Span, SsGroup } from '../ss/read.js';
import { INET_TABLES, parseInetTableRow } from './inet-table.js';
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
  let total = 0;
  for (const namespace of namespaces) {
    const began = source.now();
    if (namespace.pid === null && !shows(source, namespace, 'sockstat')) {
      closed.push(namespace);
      continue;
    }
    const table = (name: string) => lines(source, namespace, name);
    for (const inet of INET_TABLES) {
      if (!groups.includes(inet.kind.protocol === 'TCP' ? 'tcp' : 'datagrams')) continue;
      for (const line of table(inet.file)) {
        const socket = parseInetTableRow(line, inet, namespace.inode);
        if (!socket) continue;
        total++;
        const unaccepted = socket.inode === 0;
        const idle = socket.recvQ === 0 && socket.sendQ === 0 && !unaccepted;
        if (socket.protocol !== 'TCP' || !idle) sockets.push(socket);
      }
    }
    if (groups.includes('unix')) total += Math.max(0, table('unix').length - 1);
    if (groups.includes('others')) {
      const netlink = parseNetlinkTable(table('netlink').join('\n'), namespace.inode);
      for (const socket of netlink) sockets.push(socket);
      total += netlink.length + Math.max(0, table('packet').length - 1);
    }
    spans.set(namespace.inode, { startedMs: began, endedMs: source.now() });
  }
  return {
    startedMs,
    endedMs: source.now(),
    spans,
    sockets,
    total,
    unreadable: 0,
    contested: 0,
    closed,
    unknown: new Set(),
  };
}

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
